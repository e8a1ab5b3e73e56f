"""What a voice must beat: the source moved to the target's pitch, with the target's long-term spectrum."""

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.evaluation.metrics.f0 import Curve

Array = NDArray[np.float64]

FFT = 2048  # samples
RATE = 24_000  # Hz of the spectra
WIDTH = 300.0  # Hz over which a spectrum is smoothed, so that it follows no harmonics
MOST = 30.0  # dB that the filter may raise or lower


@dataclass(frozen=True, slots=True)
class Portrait:
    """What the baseline knows of a singer: median f0 in Hz, and long-term power (1025,) up to 12 kHz."""

    f0: float
    spectrum: Array


def portrait(recordings: Sequence[Audio], melodies: Sequence[Curve]) -> Portrait:
    """Of a singer by recordings and their melodies (N,) in Hz."""
    voiced = np.concatenate([melody[melody > 0] for melody in melodies])
    spectra = [_long_term(audio) for audio in recordings]
    return Portrait(float(np.median(voiced)) if len(voiced) else 0.0, np.mean([s / s.sum() for s in spectra], axis=0))


def shift_and_equalise(source: Audio, melody: Curve, target: Portrait) -> Audio:
    """The source by a phase vocoder at the target's median pitch, filtered to its long-term spectrum, as loud.

    Args:
        source: any rate.
        melody: of the source, (N,) Hz, 0 where unvoiced.
        target: whom to be like.
    """
    voiced = melody[melody > 0]
    semitones = 12 * np.log2(target.f0 / np.median(voiced)) if len(voiced) and target.f0 > 0 else 0.0
    shifted = librosa.effects.pitch_shift(source.samples, sr=source.rate, n_steps=float(semitones))
    moved = _long_term(Audio(shifted, source.rate))
    level = 10 * np.log10((target.spectrum + 1e-9) / (moved / moved.sum() + 1e-9))
    gain = 10 ** (np.clip(level - np.median(level), -MOST, MOST) / 20)
    frequencies = np.linspace(0, 1, FFT // 2 + 1) * RATE / source.rate
    inside = frequencies < 1
    taps = signal.firwin2(511, [*frequencies[inside], 1.0], [*gain[inside], float(gain[inside][-1])])
    filtered = signal.fftconvolve(shifted, taps, mode="same")
    loudness = np.sqrt(np.mean(np.square(source.samples)) / max(1e-12, float(np.mean(np.square(filtered)))))
    loudest = float(np.abs(filtered).max(initial=1e-9)) * loudness
    return Audio((filtered * loudness / max(1.0, loudest)).astype(np.float32), source.rate)


def _long_term(audio: Audio) -> Array:
    """Mean power (1025,) over the loud half of the frames, smoothed."""
    frames = np.abs(librosa.stft(resample(audio, RATE).samples, n_fft=FFT)) ** 2
    level = frames.sum(axis=0)
    mean = frames[:, level >= np.median(level)].mean(axis=1).astype(np.float64)
    return np.asarray(ndimage.uniform_filter1d(mean, max(1, round(WIDTH * FFT / RATE)), mode="nearest"))
