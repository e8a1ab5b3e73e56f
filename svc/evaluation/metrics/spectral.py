"""Spectral distance to the truth: frame against frame where both share one clock, warped in time where they do not."""

import math

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.losses.stft import spectral_loss
from svc.utils.units import hop_samples

Array = NDArray[np.float64]

BANDS = 80
LOWEST = 60.0  # Hz
CEPSTRA = 24  # mel cepstra c1 … c24
ACTIVE = 40.0  # dB below the loudest frame
DEPTH = 100.0  # dB below the loudest band of the loudest frame, the floor of a spectrum
LONGEST = 2000  # frames of a path
SCALES = (2048, 1024, 512, 256)  # FFT sizes at 24 kHz, samples
RATE = 24_000  # Hz, at most, of what is compared
NEPERS = np.log(10) / 20  # in a dB
DB_PER_NEPER = 10 / np.log(10) * 2**0.5


def log_mel(audio: Audio) -> Array:
    """(80, N) in nepers of magnitude, 40 ms Hann windows, from 60 Hz to half the rate.

    The floor follows the level, so that a gain moves c0 alone and what no ear hears counts for nothing.
    """
    hop = hop_samples(audio.rate)
    power = librosa.feature.melspectrogram(
        y=audio.samples, sr=audio.rate, n_fft=4 * hop, hop_length=hop, n_mels=BANDS, fmin=LOWEST, fmax=audio.rate / 2
    )
    floor = max(1e-30, float(power.max(initial=0.0)) * 10 ** (-DEPTH / 10))
    return 0.5 * np.log(power[:, : len(audio.samples) // hop].astype(np.float64) + floor)


def cepstra(log_spectrum: Array) -> Array:
    """c0 … c24 (25, N) of a log-mel spectrum (80, N): its cosine series, c0 its mean."""
    order, place = np.arange(CEPSTRA + 1)[:, None], (np.arange(BANDS) + 0.5)[None]
    return np.cos(np.pi / BANDS * order * place) @ log_spectrum / BANDS


def mel_cepstra(audio: Audio) -> Array:
    """c0 … c24 (25, N) in nepers."""
    return cepstra(log_mel(audio))


def active(levels: Array) -> NDArray[np.bool_]:
    """Frames (N,) within 40 dB of the loudest, by c0."""
    return levels >= levels.max(initial=-np.inf) - ACTIVE * NEPERS


def cepstral_distance(*, output: Audio, truth: Audio) -> float:
    """Mel-cepstral distance in dB over the frames where the truth sings, one clock for both; level is left out.

    10/ln 10 · √(2 Σ (Δc)²), k = 1 … 24 (Kubichek 1993).
    """
    guess, right = (mel_cepstra(audio) for audio in _alike(output, truth))
    count = min(guess.shape[1], right.shape[1])
    where = active(right[0, :count])
    return _distortion(guess[:, :count][:, where], right[:, :count][:, where])


def stft_distance(*, output: Audio, truth: Audio) -> float:
    """Spectral convergence plus E|Δ log magnitude| in nepers, averaged over four resolutions (1910.11480, eqs. 4–7)."""
    pair = [torch.from_numpy(audio.samples)[None] for audio in _alike(output, truth)]
    count = min(audio.shape[1] for audio in pair)
    guess, right = (audio[:, :count] for audio in pair)
    return float(torch.stack([*spectral_loss(fake=guess, real=right, scales=SCALES).values()]).sum())


def warped_distances(*, output: Audio, truth: Audio) -> dict[str, float]:
    """Distance between renditions of one song by two singers, warped in time by the path of least cepstral distance.

    Warping hides wrong timing, so ``stretch`` says how much of it there was. The path's memory grows with the square
    of its length, so of songs longer than 20 s only every second frame is looked at, or every third, and so on.

    Returns:
        ``mcd`` (mel-cepstral, dB) and ``log_mel`` (RMS over bands in dB, each frame's mean level left out), along
        the path where the truth sings; ``stretch`` (ms, RMS distance of the path from a straight line).
    """
    spectra = [log_mel(audio) for audio in _alike(output, truth)]
    guess, right = (cepstra(spectrum) for spectrum in spectra)
    step = _stride(guess, right)
    spectra, guess, right = [s[:, ::step] for s in spectra], guess[:, ::step], right[:, ::step]
    if min(guess.shape[1], right.shape[1]) < 2:
        return dict.fromkeys(("mcd", "log_mel", "stretch"), math.nan)
    path = _path(guess, right)
    straight = path[:, 1] * (guess.shape[1] - 1) / (right.shape[1] - 1)
    stretch = 10.0 * step * float(np.sqrt(np.mean(np.square(path[:, 0] - straight))))
    path = path[active(right[0])[path[:, 1]]]
    one, other = spectra[0][:, path[:, 0]], spectra[1][:, path[:, 1]]
    difference = (one - one.mean(axis=0)) - (other - other.mean(axis=0))
    return {
        "mcd": _distortion(guess[:, path[:, 0]], right[:, path[:, 1]]),
        "log_mel": float(np.mean(np.sqrt(np.mean(np.square(difference), axis=0)))) / float(NEPERS),
        "stretch": stretch,
    }


def on_clock(*, take: Audio, source: Audio) -> NDArray[np.intp] | None:
    """Frame of another rendition while each frame (N,) of this one sounds, 10 ms each, by the path of least distance.

    As ``warped_distances``. The path finds likeness where there is none: of other words, too. None of a rendition of
    no length.
    """
    later, clock = (mel_cepstra(audio) for audio in _alike(take, source))
    step = _stride(later, clock)
    if min(later.shape[1], clock.shape[1]) <= step:
        return None
    path = step * _path(later[:, ::step], clock[:, ::step])
    heard, first, count = np.unique(path[:, 1], return_index=True, return_counts=True)
    middle = (path[first, 0] + path[first + count - 1, 0]) / 2
    return np.interp(np.arange(clock.shape[1]), heard, middle).round().astype(np.intp)


def _stride(guess: Array, right: Array) -> int:
    return -(-max(guess.shape[1], right.shape[1]) // LONGEST)


def _path(guess: Array, right: Array) -> NDArray[np.intp]:
    """Frames (K, 2) of both that sound at once, from first to last."""
    return np.asarray(librosa.sequence.dtw(guess[1:], right[1:], backtrack=True)[1][::-1])


def _distortion(guess: Array, right: Array) -> float:
    """Mean over frames of cepstra (25, N) each, c0 left out."""
    if not guess.shape[1]:
        return math.nan
    difference = 2 * (guess[1:] - right[1:])
    return float(np.mean(DB_PER_NEPER * np.sqrt(np.square(difference).sum(axis=0))))


def _alike(output: Audio, truth: Audio) -> tuple[Audio, Audio]:
    """Both at the lower of their rates, 24 kHz at most."""
    rate = min(RATE, output.rate, truth.rate)
    return resample(output, rate), resample(truth, rate)
