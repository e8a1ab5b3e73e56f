"""Spectral distances to a reference recording: mel-cepstral distortion (MCD) and STFT distance.

Recordings that share a clock are compared frame by frame; others after dynamic time warping (DTW).
"""

import math

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.losses.stft import multi_resolution_stft_loss
from svc.utils.units import hop_samples

Array = NDArray[np.float64]

BANDS = 80
LOWEST = 60.0  # Hz
CEPSTRA = 24  # mel cepstra c1 … c24
ACTIVE = 40.0  # dB below the loudest frame
FLOOR = 100.0  # dB below the loudest band of the loudest frame
MAX_PATH = 2000  # frames of a DTW path
SCALES = (2048, 1024, 512, 256)  # FFT sizes, samples
RATE = 24_000  # Hz, at most, at which recordings are compared
NEPERS = np.log(10) / 20  # in a dB
DB_PER_NEPER = 10 / np.log(10) * 2**0.5


def log_mel(audio: Audio) -> Array:
    """(80, N) in nepers of magnitude, 40 ms Hann windows, from 60 Hz to half the rate.

    The floor is relative to the level, so a gain changes c0 only, and inaudible bands do not count.
    """
    hop = hop_samples(audio.rate)
    power = librosa.feature.melspectrogram(
        y=audio.samples, sr=audio.rate, n_fft=4 * hop, hop_length=hop, n_mels=BANDS, fmin=LOWEST, fmax=audio.rate / 2
    )
    floor = max(1e-30, float(power.max(initial=0.0)) * 10 ** (-FLOOR / 10))
    return 0.5 * np.log(power[:, : len(audio.samples) // hop].astype(np.float64) + floor)


def mel_cepstra(audio: Audio) -> Array:
    """Mel cepstra c0 … c24 (25, N) of a recording, in nepers; c0 is the mean of its log-mel spectrum."""
    order, place = np.arange(CEPSTRA + 1)[:, None], (np.arange(BANDS) + 0.5)[None]
    return np.cos(np.pi / BANDS * order * place) @ log_mel(audio) / BANDS


def active(levels: Array) -> NDArray[np.bool_]:
    """Mask (N,) of the frames within 40 dB of the loudest, by c0."""
    return levels >= levels.max(initial=-np.inf) - ACTIVE * NEPERS


def mcd(*, output: Audio, truth: Audio) -> float:
    """Mel-cepstral distortion (MCD) in dB over the active frames of the truth, without time warping or level.

    10/ln 10 · √(2 Σ (Δc)²), k = 1 … 24 (Kubichek 1993).
    """
    estimate, reference = (mel_cepstra(audio) for audio in _same_rate(output, truth))
    count = min(estimate.shape[1], reference.shape[1])
    where = active(reference[0, :count])
    return _distortion(estimate[:, :count][:, where], reference[:, :count][:, where])


def stft_distance(*, output: Audio, truth: Audio) -> float:
    """Multi-resolution STFT distance (Yamamoto et al. 1910.11480, eqs. 4–7): spectral convergence + log magnitude."""
    pair = [torch.from_numpy(audio.samples)[None] for audio in _same_rate(output, truth)]
    count = min(audio.shape[1] for audio in pair)
    fake, real = (audio[:, :count] for audio in pair)
    return float(torch.stack([*multi_resolution_stft_loss(fake=fake, real=real, scales=SCALES).values()]).sum())


def mcd_after_dtw(*, output: Audio, truth: Audio) -> float:
    """MCD in dB between two performances of one song, aligned by dynamic time warping (DTW).

    Memory grows with the square of the path, so songs longer than 20 s are subsampled to every second frame, every
    third, and so on. NaN if one of the two is too short.
    """
    estimate, reference = (mel_cepstra(audio) for audio in _same_rate(output, truth))
    step = -(-max(estimate.shape[1], reference.shape[1]) // MAX_PATH)
    estimate, reference = estimate[:, ::step], reference[:, ::step]
    path = librosa.sequence.dtw(estimate[1:], reference[1:], backtrack=True)[1]
    path = path[active(reference[0])[path[:, 1]]]
    return _distortion(estimate[:, path[:, 0]], reference[:, path[:, 1]])


def _distortion(a: Array, b: Array) -> float:
    """MCD in dB: mean over frames of two sequences of cepstra (25, N), without c0."""
    if not a.shape[1]:
        return math.nan
    difference = 2 * (a[1:] - b[1:])
    return float(np.mean(DB_PER_NEPER * np.sqrt(np.square(difference).sum(axis=0))))


def _same_rate(output: Audio, truth: Audio) -> tuple[Audio, Audio]:
    """Both at the lower of their rates, at most 24 kHz."""
    rate = min(RATE, output.rate, truth.rate)
    return resample(output, rate), resample(truth, rate)
