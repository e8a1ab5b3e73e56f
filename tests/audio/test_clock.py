"""The 10 ms clock, levels and rates: exact counts and textbook values."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.files import Audio
from svc.audio.resample import fit_length, resample
from svc.audio.stft import FLOOR, a_weighted_loudness, frame, power_spectrogram, rfft_cheap_grad
from svc.utils import units

RATES = (16_000, 24_000, 44_100, 48_000)
PAIRS = [(44_100, 16_000), (16_000, 48_000), (11_025, 16_000)]
quick = settings(max_examples=60, deadline=None)


def sine(frequency: float, rate: int, seconds: float = 0.5) -> torch.Tensor:
    time = torch.arange(round(rate * seconds), dtype=torch.float64) / rate
    return torch.sin(2 * torch.pi * frequency * time)[None]


# --- frames ---


@quick
@given(data=st.data(), hop=st.integers(1, 500), extra=st.integers(0, 2_000), count=st.integers(1, 20))
def test_click_weighs_most_in_its_own_frame(data, hop, extra, count):
    at = data.draw(st.integers(0, count * hop - 1))
    audio = torch.zeros(1, count * hop)
    audio[0, at] = 1
    size = hop + extra
    weights = (frame(audio, size, hop) * torch.hann_window(size + 2)[1:-1]).sum(-1)[0]
    assert weights[at // hop] > 0
    assert weights[at // hop] >= weights.max() - 1e-6


@pytest.mark.parametrize("fft", [None, 4_096])
@pytest.mark.parametrize("rate", RATES)
def test_full_scale_sine_reads_0_db(rate, fft):
    power = power_spectrogram(sine(1_000, rate), 4 * rate // 100, rate // 100, fft)[0, 5:-5]
    assert power.shape[-1] == (fft or 4 * rate // 100) // 2 + 1
    tolerance = 0.1 if fft is None else 0.2  # between bins
    torch.testing.assert_close(10 * power.amax(-1).log10(), torch.zeros(len(power)).double(), rtol=0, atol=tolerance)


# --- loudness ---


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("frequency", "gain", "level", "tolerance"),
    [
        (1_000, 1, 0, 0.1),
        (1_000, 0.1, -20, 0.1),
        (1_003.7, 1, 0, 0.1),
        (100, 1, -19.1, 0.3),  # IEC 61672-1, table 3
        (200, 1, -10.9, 0.15),
        (4_000, 1, 1.0, 0.1),
        (10_000, 1, -2.5, 0.3),
    ],
)
def test_loudness_of_sines(rate, frequency, gain, level, tolerance):
    if frequency < rate / 2:
        levels = a_weighted_loudness(gain * sine(frequency, rate), rate)[0, 3:-3]
        assert (levels - level).abs().max() < tolerance


def test_loudness_of_silence_and_batches():
    assert (a_weighted_loudness(torch.zeros(1, 16_000), 16_000) == FLOOR).all()
    assert a_weighted_loudness(torch.zeros(2, 150), 16_000).shape == (2, 0)
    batch = torch.randn(3, 16_123, generator=torch.Generator().manual_seed(0))
    levels = a_weighted_loudness(batch, 16_000)
    assert levels.shape == (3, 100)
    assert levels.dtype == torch.float32
    for single, level in zip(batch, levels, strict=True):
        torch.testing.assert_close(a_weighted_loudness(single[None], 16_000)[0], level, rtol=0, atol=1e-4)


def test_loudness_follows_the_gain():
    noise = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0))
    difference = a_weighted_loudness(noise, 24_000) - a_weighted_loudness(noise / 10, 24_000)
    torch.testing.assert_close(difference, torch.full_like(difference, 20.0), rtol=0, atol=1e-3)


# --- resampling ---


@pytest.mark.parametrize(("old", "new"), PAIRS)
@pytest.mark.parametrize("frequency", [110.0, 4_500.0])
def test_tone_stays_the_tone(old, new, frequency):
    """Against the sine at the new rate: same level and same phase throughout, so same pitch and no delay."""
    original = 0.5 * sine(frequency, old, 2)[0].numpy().astype(np.float32)
    result = resample(Audio(original, old), new).samples[new // 10 : -new // 10].astype(np.float64)
    time = (np.arange(len(result)) + new // 10) / new
    carrier = result * np.exp(-2j * np.pi * frequency * time)
    half = len(carrier) // 2
    first, second = (2 * np.mean(part * np.hanning(len(part)) * 2) for part in (carrier[:half], carrier[half:]))
    assert abs(20 * np.log10(abs(first) / 0.5)) < 0.05
    assert abs(20 * np.log10(abs(second) / 0.5)) < 0.05
    assert abs(np.angle(first * 1j)) < 1e-2
    drift = np.angle(second / first) / (2 * np.pi * half / new)  # Hz
    assert abs(1200 * np.log2(1 + drift / frequency)) < 0.1  # cents


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (48_000, 24_000)])
def test_no_aliases(old, new):
    above = Audio(sine(0.55 * new, old)[0].numpy().astype(np.float32), old)
    assert np.abs(resample(above, new).samples[new // 20 : -new // 20]).max() < 1e-4  # -80 dB


@quick
@given(have=st.integers(0, 50), want=st.integers(0, 50))
def test_fit_length(have, want):
    fitted = fit_length(np.arange(1, have + 1, dtype=np.float32), want)
    np.testing.assert_array_equal(fitted, [n if n <= have else 0 for n in range(1, want + 1)])


# --- units ---


@quick
@given(frames=st.integers(0, 10**6), rate=st.integers(1, 2_000).map(lambda n: 100 * n))
def test_a_hundred_hops_are_a_second(frames, rate):
    assert 100 * units.hop_samples(rate) == rate
    assert units.seconds_to_frames(frames / 100) == frames


@pytest.mark.parametrize("rate", [22_050, 11_025, 0, -16_000, 150])
def test_rates_without_a_whole_hop_are_refused(rate):
    with pytest.raises(ValueError, match=f"{rate} Hz"):
        units.hop_samples(rate)


def test_exact_units():
    assert units.semitones_to_ratio(12) == 2
    assert units.semitones_to_ratio(7) == pytest.approx(1.498307, abs=1e-6)
    assert units.db_to_gain(20) == 10
    assert units.db_to_gain(-6) == pytest.approx(0.501187, abs=1e-6)


@pytest.mark.parametrize(("length", "size"), [(64, 64), (50, 64), (63, 63), (40, 63)])
def test_a_real_spectrum_has_the_librarys_values_and_gradient(length, size):
    frames = torch.randn(3, length, dtype=torch.float64, requires_grad=True)
    downstream = torch.randn(3, size // 2 + 1, dtype=torch.complex128)
    ours, theirs = rfft_cheap_grad(frames, size), torch.fft.rfft(frames, n=size)
    assert torch.equal(ours, theirs)
    wanted = torch.autograd.grad(theirs, frames, downstream)
    torch.testing.assert_close(torch.autograd.grad(ours, frames, downstream), wanted)
