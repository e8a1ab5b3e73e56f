"""Aperiodicity of harmonics in noise at known ratios."""

import math

import numpy as np
import pytest
from scipy import signal

from svc.audio.files import Audio
from svc.evaluation.metrics.artifacts import aperiodicity

RATE = 24_000


def noise(seconds, level=0.1, rate=RATE):
    samples = np.random.default_rng(0).normal(0, level, round(seconds * rate))
    return Audio(samples.astype(np.float32), rate)


def decibels(ratio):
    return 10 * math.log10(ratio)


class TestAperiodicity:
    def tone(self, f0, rate, snr, vibrato):
        """Harmonics up to 4 kHz, 1/k, in noise of as wide a band, and the f0 (N,) of a tone of 1.5 s."""
        top = min(4000.0, 0.45 * rate)

        def pitch(time):
            return f0 * 2 ** (vibrato / 1200 * np.sin(2 * np.pi * 5 * time))

        phase = 2 * np.pi * np.cumsum(pitch(np.arange(round(1.5 * rate)) / rate)) / rate
        harmonics = range(1, int(top / f0 / 2 ** (vibrato / 1200)) + 1)
        clean = sum(np.sin(k * phase + k * k) / k for k in harmonics)
        hiss = np.convolve(noise(1.5, 1.0, rate).samples, signal.firwin(801, top, fs=rate), "same")
        hiss *= 10 ** (-snr / 20) * np.sqrt(np.mean(clean**2) / np.mean(hiss**2))
        return Audio((0.1 * (clean + hiss)).astype(np.float32), rate), pitch((np.arange(150) + 0.5) / 100)

    @pytest.mark.parametrize(
        ("f0", "rate", "snr", "vibrato"),
        [(70, 24_000, 20, 0), (110, 8_000, 0, 50), (220, 24_000, 40, 50), (330, 44_100, 20, 50), (440, 16_000, 40, 0)],
    )
    def test_is_the_noise_that_was_added(self, f0, rate, snr, vibrato):
        audio, curve = self.tone(f0, rate, snr, vibrato)
        expected = decibels(1 / (1 + 10 ** (snr / 10)))
        assert aperiodicity(audio, curve) == pytest.approx(expected, abs=0.8)

    def test_of_a_clean_tone_and_of_noise(self):
        audio, curve = self.tone(220, RATE, 100, 0.0)
        assert aperiodicity(audio, curve) < -55
        assert aperiodicity(noise(1.5), curve) == pytest.approx(0, abs=0.5)

    def test_where_it_is_voiced(self):
        audio, curve = self.tone(220, RATE, 20, 0.0)
        audio.samples[RATE // 2 : RATE] = noise(0.5).samples
        curve[47:103] = 0
        assert aperiodicity(audio, curve) == pytest.approx(decibels(1 / 101), abs=0.5)

    def test_nan_without_voice(self):
        assert math.isnan(aperiodicity(noise(1.0), np.zeros(100)))
