"""Excitation: pure tones, alias-free pulse trains, white noise; the same in any segment."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from song import song

from svc.features.conditioning import phase_track
from svc.models.excitation import cosine_sum, harmonic, noise

HOP, RATE = 240, 24_000


def pulses_of(f0: np.ndarray, harmonics: int, hop: int = HOP) -> np.ndarray:
    """Excitation of a voiced curve (N,)."""
    curve = torch.from_numpy(f0.astype(np.float32))[None]
    phase = torch.from_numpy(phase_track(curve[0].numpy()))[None]
    return harmonic(curve, phase, torch.ones_like(curve), hop, harmonics)[0].double().numpy()


def spectrum(signal: np.ndarray) -> np.ndarray:
    """Amplitudes of the sinusoids of a signal; a Blackman–Harris window keeps leaks below −92 dB."""
    n = 2 * np.pi * np.arange(len(signal)) / len(signal)
    window = 0.35875 - 0.48829 * np.cos(n) + 0.14128 * np.cos(2 * n) - 0.01168 * np.cos(3 * n)
    return np.abs(np.fft.rfft(signal * window)) * 2 / window.sum()


def peak(amplitude: np.ndarray, seconds: float) -> float:
    """Frequency of the highest peak in Hz: a parabola through three bins of the log spectrum."""
    k = int(amplitude[1:-1].argmax()) + 1
    left, middle, right = np.log(amplitude[k - 1 : k + 2])
    return (k + 0.5 * (left - right) / (left - 2 * middle + right)) / seconds


def db(ratio: np.ndarray | float) -> np.ndarray:
    return 20 * np.log10(np.maximum(ratio, 1e-12))


@pytest.mark.parametrize("f0", [65.4, 987.7])
def test_a_tone_stays_a_tone(f0):
    tone = pulses_of(np.full(1000, f0), harmonics=1)
    amplitude = spectrum(tone)
    assert abs(1200 * np.log2(peak(amplitude, 10.0) / f0)) < 0.1
    away = np.abs(np.arange(len(amplitude)) / 10 - f0) > 1
    assert db(np.sqrt((amplitude[away] ** 2).sum()) / amplitude.max()) < -60
    assert (tone**2).mean() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("f0", [65.4, 511.3, 2003.9])
def test_pulses_have_equal_harmonics_and_no_aliases(f0):
    pulses = pulses_of(np.full(200, f0), harmonics=0)
    amplitude = spectrum(pulses)
    places = np.arange(1, int(0.48 * RATE / f0) + 1) * f0 * 2  # bins; 2 s
    levels = db([amplitude[round(p) - 1 : round(p) + 2].max() for p in places])
    assert np.ptp(levels) < 1.0  # a peak between two bins of this window reads up to 0.83 dB low …
    correlation = [abs(np.exp(-2j * np.pi * p / 2 * np.arange(48_000) / RATE) @ pulses) for p in places]
    assert np.ptp(db(correlation)) < 0.2  # … but at its exact frequency it does not
    distance = np.abs(np.arange(len(amplitude)) / 2 / f0 - np.round(np.arange(len(amplitude)) / 2 / f0)) * f0
    between = distance > 4
    assert db(amplitude[between].max() / amplitude.max()) < -60
    assert (pulses**2).mean() == pytest.approx(1, abs=0.1)


def test_no_drift_over_an_hour():
    f0 = 440.7
    phase = phase_track(np.full(360_000, f0, np.float32))
    step, whole = (np.float64(np.float32(f0)) / 100).as_integer_ratio()
    exact = np.array([n * step % whole / whole for n in range(0, 360_000, 97)])
    assert np.abs((phase[::97] - exact + 0.5) % 1 - 0.5).max() < 1e-6
    assert phase.max() < 1


@pytest.mark.parametrize("harmonics", [0, 5])
def test_any_part_equals_the_whole(harmonics):
    first, last = 17, 80
    whole = song(120, batch=2)
    part = whole.crop(first, last)

    def render(c):
        return harmonic(c.f0, c.phase, c.voiced, HOP, harmonics)

    torch.testing.assert_close(
        render(part)[:, HOP // 2 : -HOP // 2],
        render(whole)[:, first * HOP : last * HOP][:, HOP // 2 : -HOP // 2],
        atol=1e-5,
        rtol=0,
    )


def test_unvoiced_is_silent_and_voicing_fades_over_a_frame():
    c = song(40)
    c = replace(c, voiced=(torch.arange(40) >= 20).float()[None])
    signal = harmonic(c.f0, c.phase, c.voiced, HOP, 1)[0]
    centre = 19 * HOP + HOP // 2
    assert signal[: centre + 1].abs().max() == 0
    assert 0 < signal[centre + 1 : centre + HOP // 4].abs().max() < 0.36 * 2**0.5
    assert signal[centre + HOP :].abs().max() == pytest.approx(2**0.5, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(count=st.floats(1, 300), cycles=st.floats(0, 1))
def test_cosine_sum_is_the_sum(count, cycles):
    whole = int(count)
    turns = torch.tensor([cycles, 0.0, 0.5, 1e-5, 1 - 1e-5], dtype=torch.float64)
    k = torch.arange(1, whole + 2)[:, None]
    weight = torch.where(k <= whole, 1.0, count - whole)
    explicit = (weight * torch.cos(2 * torch.pi * k * turns)).sum(0)
    signal = cosine_sum(turns, torch.full_like(turns, count))
    torch.testing.assert_close(signal, explicit, atol=1e-3 * count, rtol=0)


def test_noise_is_white_and_of_unit_power():
    signal = noise(torch.tensor([123]), 400, HOP)[0].double().numpy()
    assert (signal**2).mean() == pytest.approx(1, abs=0.02)
    assert abs(signal.mean()) < 0.015
    assert np.abs(signal).max() <= 3**0.5
    bound = 5 / len(signal) ** 0.5  # standard deviations of a correlation by chance
    lags = np.fft.irfft(np.abs(np.fft.rfft(signal, 2 * len(signal))) ** 2)[1:2000] / (signal**2).sum()
    assert np.abs(lags).max() < bound
    power = np.abs(np.fft.rfft(signal.reshape(-1, 480) * np.hanning(480))[:, 2:-2]) ** 2
    flatness = np.exp(np.log(power.mean(0)).mean()) / power.mean(0).mean()
    assert flatness > 0.99
    others = [noise(torch.tensor([123 + 400 * k]), 400, HOP)[0].double().numpy() for k in (1, 2, 2**20)]
    assert all(abs((signal * other).mean()) < bound for other in others)


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 2**31), first=st.integers(0, 9), count=st.integers(1, 9), hop=st.integers(1, 480))
def test_noise_depends_on_the_number_of_the_sample_alone(start, first, count, hop):
    whole = noise(torch.tensor([start, 7]), 20, hop)
    part = noise(torch.tensor([start + first, 7 + first]), count, hop)
    assert torch.equal(part, whole[:, first * hop : (first + count) * hop])
