"""Measures of pitch, likeness and identity that share nothing with the model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from svc.audio.files import Audio
from svc.units import hop_samples

CEPSTRA = 24  # mel cepstra c1 … c24
ACTIVE = 40.0  # dB below the loudest frame
LOUD = 20.0  # dB below the loudest frame, what singers are told apart by
FMIN, FMAX = 65.0, 1100.0  # Hz, of a voice
REACH = 2.1  # a little over an octave, so that octave errors show
DB_PER_NEPER = 10 / np.log(10) * 2**0.5
Cepstra = NDArray[np.float64]
Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PitchError:
    """Errors of a melody over the frames that are voiced in both, NaN if there are none.

    Attributes:
        median: |cents|.
        over_50: share of those frames off by more than 50 cents.
        voicing: share of all frames voiced in one and not in the other.
    """

    median: float
    over_50: float
    voicing: float


def track_pitch(audio: Audio, fmin: float = FMIN, fmax: float = FMAX) -> Curve:
    """f0 (N,) in Hz, 0 where unvoiced, by probabilistic YIN (Mauch and Dixon 2014), not by the model's CREPE."""
    hop = hop_samples(audio.rate)
    count = len(audio.samples) // hop
    frame = 4 * math.ceil(audio.rate / min(fmin, FMIN) / 2)  # two periods of the lowest pitch, whatever the range
    centred = np.pad(audio.samples, (frame // 2 - hop // 2, frame))
    f0, voiced, _ = librosa.pyin(
        centred,
        sr=audio.rate,
        fmin=fmin,
        fmax=fmax,
        frame_length=frame,
        hop_length=hop,
        center=False,
        resolution=0.05,
        fill_na=0.0,
    )
    return np.where(voiced, f0, 0.0)[:count]


def track_near(audio: Audio, asked: NDArray[np.floating]) -> Curve:
    """``track_pitch`` no further than an octave from the range of a melody (N,) in Hz: two to six times as fast."""
    voiced = asked[asked > 0]
    if not len(voiced):
        return track_pitch(audio)
    return track_pitch(audio, max(FMIN, float(voiced.min()) / REACH), min(FMAX, float(voiced.max()) * REACH))


def pitch_error(*, sung: NDArray[np.floating], asked: NDArray[np.floating]) -> PitchError:
    """How far a sung melody (N,) is from the one asked for (N,), both in Hz and 0 where unvoiced."""
    both = (sung > 0) & (asked > 0)
    voicing = float(np.mean((sung > 0) != (asked > 0))) if len(both) else math.nan
    if not both.any():
        return PitchError(math.nan, math.nan, voicing)
    cents = np.abs(1200 * np.log2(sung[both] / asked[both]))
    return PitchError(float(np.median(cents)), float(np.mean(cents > 50)), voicing)


def mel_cepstra(audio: Audio) -> Cepstra:
    """Mel cepstra c0 … c24 (25, N) in nepers of magnitude, 40 ms Hann windows, 80 bands."""
    hop = hop_samples(audio.rate)
    power = librosa.feature.melspectrogram(
        y=audio.samples, sr=audio.rate, n_fft=4 * hop, hop_length=hop, n_mels=80, fmin=60, fmax=audio.rate / 2
    )
    log_magnitude = 0.5 * np.log(power[:, : len(audio.samples) // hop].astype(np.float64) + 1e-9)
    order, place = np.arange(CEPSTRA + 1)[:, None], (np.arange(80) + 0.5)[None]
    return np.cos(np.pi / 80 * order * place) @ log_magnitude / 80


def cepstral_distance(*, output: Audio, truth: Audio) -> float:
    """Mel-cepstral distance in dB over the frames where the truth sings; both must be aligned; level is left out.

    10/ln 10 · √(2 Σ (Δc)²), k = 1 … 24 (Kubichek 1993).
    """
    guess, right = mel_cepstra(output), mel_cepstra(truth)
    count = min(guess.shape[1], right.shape[1])
    active = right[0, :count] >= right[0, :count].max() - ACTIVE * np.log(10) / 20
    difference = 2 * (guess[1:, :count] - right[1:, :count])[:, active]
    return float(np.mean(DB_PER_NEPER * np.sqrt(np.square(difference).sum(axis=0))))


class SingerClassifier:
    """Names a singer by the mean and the spread of the mel cepstra of a whole recording (logistic regression)."""

    def __init__(self, recordings: Sequence[Audio], names: Sequence[str]):
        self._model: Pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        self._model.fit(np.stack([self._summary(audio) for audio in recordings]), list(names))

    def name(self, audio: Audio) -> str:
        """The likeliest singer."""
        return str(self._model.predict(self._summary(audio)[None])[0])

    @staticmethod
    def _summary(audio: Audio) -> NDArray[np.float64]:
        cepstra = mel_cepstra(audio)
        voice = cepstra[1:, cepstra[0] >= cepstra[0].max() - LOUD * np.log(10) / 20]
        return np.concatenate([voice.mean(axis=1), voice.std(axis=1)])
