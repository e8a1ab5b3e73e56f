"""Bandwidth: a cliff of the long-term spectrum is the band's edge, a natural roll-off is none."""

import numpy as np
import pytest
import soxr
from scipy import signal

from svc.audio import band
from svc.audio.files import Audio

SECONDS = 4


def noise(rate: int, slope: float = 0.0, seconds: float = SECONDS) -> np.ndarray:
    """Noise whose level falls by so many dB an octave above 500 Hz."""
    samples = np.random.default_rng(1).standard_normal(round(rate * seconds))
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum *= np.maximum(frequencies / 500, 1) ** (-slope / 6.02)
    shaped = np.fft.irfft(spectrum, len(samples))
    return (0.5 * shaped / np.abs(shaped).max()).astype(np.float32)


def measure_band(samples: np.ndarray, rate: int) -> float:
    return band.measure_band([Audio(samples, rate)])


def in_16_bits(samples: np.ndarray) -> np.ndarray:
    return (np.round(samples * 32_767) / 32_767).astype(np.float32)


@pytest.mark.parametrize(("old", "new", "slope"), [(16_000, 44_100, 6), (8_000, 16_000, 0), (44_100, 48_000, 6)])
def test_resampled_noise(old, new, slope):
    samples = soxr.resample(noise(old, slope), old, new, quality="HQ")
    assert measure_band(in_16_bits(samples), new) == pytest.approx(old / 2, rel=0.03)
    assert measure_band(samples, new) == pytest.approx(old / 2, rel=0.03)


def test_resampled_twice_and_quiet():
    low = soxr.resample(noise(96_000), 96_000, 16_000, quality="HQ")
    samples = in_16_bits(0.02 * soxr.resample(low, 16_000, 44_100, quality="HQ"))
    assert measure_band(samples, 44_100) == pytest.approx(8_000, rel=0.03)


@pytest.mark.parametrize("edge", [8_000, 16_000])
def test_low_passed_noise(edge):
    taps = signal.firwin(4_001, edge, fs=44_100, window="blackmanharris")
    samples = in_16_bits(signal.fftconvolve(noise(44_100), taps, mode="same"))
    assert measure_band(samples, 44_100) == pytest.approx(edge, rel=0.03)


@pytest.mark.parametrize(("rate", "slope"), [(16_000, 0), (44_100, 6), (48_000, 30)])
def test_natural_roll_off(rate, slope):
    assert measure_band(in_16_bits(noise(rate, slope)), rate) == rate / 2


def test_natural_roll_off_behind_a_formant():
    """The level falls by 24 dB from 3.2 to 5 kHz, as behind the singer's formant, and goes on falling."""
    points = np.array([0, 500, 2_500, 3_200, 5_000, 9_000, 22_050])
    taps = signal.firwin2(2_001, points, 10 ** (np.array([0, 0, -20, -18, -42, -50, -65]) / 20), fs=44_100)
    samples = signal.fftconvolve(noise(44_100), taps, mode="same")
    assert measure_band(in_16_bits(samples), 44_100) == 22_050


def test_harmonics_of_a_held_note():
    time = np.arange(2 * 44_100) / 44_100
    note = sum(np.sin(2 * np.pi * 880 * k * time) / k**2 for k in range(1, 24))
    samples = 0.2 * note + 1e-4 * noise(44_100, seconds=2)
    assert measure_band(in_16_bits(samples), 44_100) == 22_050


def test_downsampled_recordings_are_full_band():
    for rate in (16_000, 24_000, 44_100):
        assert measure_band(soxr.resample(noise(96_000), 96_000, rate, quality="HQ"), rate) == rate / 2


def test_parts_and_short_recordings():
    samples = soxr.resample(noise(16_000), 16_000, 44_100, quality="HQ")
    parts = (Audio(part, 44_100) for part in np.array_split(samples, 3))
    assert band.measure_band(parts) == pytest.approx(8_000, rel=0.03)
    assert measure_band(samples[:13_000], 44_100) == pytest.approx(8_000, rel=0.03)
    assert measure_band(samples[:500], 44_100) > 0
    assert measure_band(np.zeros(44_100, np.float32), 44_100) == 22_050
    assert band.measure_band(iter(())) == 0
