"""Spectral distances of known sizes; warping hides timing."""

import dataclasses
import math
from functools import lru_cache

import librosa
import numpy as np
import pytest

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.evaluation.metrics import spectral
from svc.evaluation.metrics.f0 import f0_scores, loudness_scores

RATE = 24_000
SONG = phrase(0)


def noise(seconds, seed=0, level=0.1):
    samples = np.random.default_rng(seed).normal(0, level, round(seconds * RATE))
    return Audio(samples.astype(np.float32), RATE)


def scaled(audio, gain):
    return Audio(audio.samples * np.float32(gain), audio.rate)


def coloured(audio, ripple, periods):
    """Filtered by a ripple of so many dB and periods over the mel axis."""
    bins = np.fft.rfftfreq(len(audio.samples), 1 / RATE)
    low, high = librosa.hz_to_mel([spectral.LOWEST, RATE / 2])
    place = np.clip((librosa.hz_to_mel(bins) - low) / (high - low), 0, 1)
    gain = 10 ** (ripple * np.cos(2 * np.pi * periods * place) / 20)
    return Audio(np.fft.irfft(np.fft.rfft(audio.samples) * gain, len(audio.samples)).astype(np.float32), RATE)


@lru_cache
def sing(singer, song=SONG, rate=RATE):
    return render(singer, song, rate)


def voice(singer=SINGERS[1], song=SONG, rate=RATE):
    return Audio(sing(singer, song, rate).samples.copy(), rate)


def mcd(output, truth):
    return spectral.mcd(output=output, truth=truth)


def warped(output, truth):
    return spectral.mcd_after_dtw(output=output, truth=truth)


@pytest.mark.parametrize(("ripple", "periods"), [(6.0, 3.5), (-3.0, 2.0)])
def test_mcd_of_a_filter_is_its_rms(ripple, periods):
    assert mcd(coloured(noise(2.0), ripple, periods), noise(2.0)) == pytest.approx(abs(ripple) / math.sqrt(2), rel=0.06)


def test_mcd_counts_active_frames_of_the_truth():
    half = RATE // 2
    truth, other = noise(1.0).samples, voice().samples[RATE : RATE + half]
    truth[half:] *= 1e-4
    output = Audio(np.concatenate([truth[:half], other]), RATE)
    assert mcd(output, Audio(truth, RATE)) < 0.5  # the window at the seam
    assert mcd(Audio(truth, RATE), output) > 3


def test_rates_may_differ():
    output, truth = (resample(voice(rate=48_000), rate) for rate in (16_000, 44_100))
    assert warped(output, truth) < 0.5
    assert mcd(output, truth) < 0.5
    assert spectral.stft_distance(output=output, truth=truth) < 0.2


def test_dtw_aligns_late_syllables():
    """The first is 150 ms longer, the last as much shorter: what warping hides, other measures show."""
    first, *middle, last = SONG.notes
    notes = (
        dataclasses.replace(first, seconds=first.seconds + 0.15),
        *middle,
        dataclasses.replace(last, seconds=last.seconds - 0.15),
    )
    late = dataclasses.replace(SONG, notes=notes)
    assert warped(voice(song=late), voice()) < 1
    assert mcd(voice(song=late), voice()) > 8
    assert loudness_scores(output=voice(song=late), source=voice())["lag"] == 150
    assert f0_scores(output_f0=sing(SINGERS[1], late).f0, reference_f0=sing(SINGERS[1]).f0)["f0_rmse"] > 100


def test_long_songs_are_subsampled(monkeypatch):
    truth, other = voice(), voice(SINGERS[0])
    whole = warped(other, truth)
    monkeypatch.setattr(spectral, "MAX_PATH", SONG.frames // 3)
    assert warped(other, truth) == pytest.approx(whole, rel=0.15)


@pytest.mark.parametrize("gain", [0.25, 2.0])
def test_stft_distance_of_a_gain(gain):
    """Convergence |1 − g|, log magnitude |ln g|."""
    distance = spectral.stft_distance(output=scaled(noise(1.0), gain), truth=noise(1.0))
    assert distance == pytest.approx(abs(1 - gain) + abs(math.log(gain)), rel=1e-3)
