"""Level of a part by frequency band: exact levels of tones."""

import math

import numpy as np
import pytest

from svc.audio.levels import level_by_band


class TestLevelByBand:
    RATE = 48_000

    def tones(self, *levels: tuple[float, float]) -> np.ndarray:
        """One second of sines of (frequency, level in dB)."""
        times = np.arange(self.RATE) / self.RATE
        return sum(10 ** (level / 20) * np.sin(2 * np.pi * frequency * times) for frequency, level in levels)

    def test_exact_levels(self):
        whole = self.tones((500, 0), (2_000, -6), (6_000, -20), (10_000, 0), (15_000, -40))
        part = self.tones((700, -30), (3_000, -6), (6_000, -20), (9_000, 6), (15_000, -60))
        levels = level_by_band(part, whole, self.RATE)
        expected = {"0-1": -30, "1-4": 0, "4-8": 0, "8-12": 6, "12-20": -20}
        assert levels.keys() == expected.keys()
        assert levels == pytest.approx(expected, abs=1e-6)

    def test_limits(self):
        whole = self.tones((500, 0))
        assert level_by_band(0 * whole, whole, self.RATE)["0-1"] == -120
        assert math.isnan(level_by_band(whole, 0 * whole, self.RATE)["0-1"])
        noise = np.random.default_rng(0).standard_normal(16_000)
        assert [band for band, level in level_by_band(noise, noise, 16_000).items() if math.isnan(level)] == [
            "8-12",
            "12-20",
        ]
        assert math.isnan(level_by_band(noise, noise, 24_000)["12-20"])  # though one bin lies at 12 kHz
