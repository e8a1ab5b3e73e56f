"""Synthetic noise: its spectrum, and the level at which it is mixed in."""

import numpy as np
import pytest
from noise import KINDS, make_noise, mix

CLIPS = [np.random.default_rng(n).standard_normal(700).astype(np.float32) for n in range(3)]


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_mixed_in_at_its_snr(kind):
    noise, again = (make_noise(kind, 16_000, 16_000, np.random.default_rng(5), CLIPS) for _ in range(2))
    np.testing.assert_array_equal(noise, again)
    clean = 0.1 * np.sin(np.arange(16_000, dtype=np.float32))
    added = mix(clean, noise, 6.0) - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(added**2)) == pytest.approx(6.0, abs=0.01)


def test_pink_noise_falls_by_3_db_an_octave():
    power = np.abs(np.fft.rfft(make_noise("pink", 2**16, 16_000, np.random.default_rng(0), CLIPS))) ** 2
    octaves = [10 * np.log10(power[2**n : 2 ** (n + 1)].mean()) for n in range(8, 14)]
    np.testing.assert_allclose(np.diff(octaves), -3.0, atol=0.7)
