"""DSP baseline: pitch shift to the target's median f0 and equalisation to its long-term average spectrum (LTAS)."""

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
RATE = 24_000  # Hz
SMOOTHING = 300.0  # Hz, wider than the harmonics
MAX_GAIN = 30.0  # dB


@dataclass(frozen=True, slots=True)
class SpeakerSpectrum:
    """A target speaker: median f0 in Hz, and long-term average power spectrum (1025,) up to 12 kHz."""

    f0: float
    spectrum: Array


def measure_speaker(recordings: Sequence[Audio], f0s: Sequence[Curve]) -> SpeakerSpectrum:
    """Median f0 and average spectrum of recordings with f0 curves (N,) in Hz, 0 where unvoiced."""
    voiced = np.concatenate([f0[f0 > 0] for f0 in f0s])
    spectra = [_long_term(audio) for audio in recordings]
    return SpeakerSpectrum(
        float(np.median(voiced)) if len(voiced) else 0.0, np.mean([s / s.sum() for s in spectra], axis=0)
    )


def shift_and_equalise(source: Audio, f0: Curve, target: SpeakerSpectrum) -> Audio:
    """Shift a source to the target's median f0 by a phase vocoder and filter it to the target's average spectrum.

    The level stays that of the source.

    Args:
        source: at any rate.
        f0: of the source, (N,) Hz, 0 where unvoiced.
        target: the target speaker.
    """
    voiced = f0[f0 > 0]
    semitones = 12 * np.log2(target.f0 / np.median(voiced)) if len(voiced) and target.f0 > 0 else 0.0
    shifted = librosa.effects.pitch_shift(source.samples, sr=source.rate, n_steps=float(semitones))
    current = _long_term(Audio(shifted, source.rate))
    level = 10 * np.log10((target.spectrum + 1e-9) / (current / current.sum() + 1e-9))
    gain = 10 ** (np.clip(level - np.median(level), -MAX_GAIN, MAX_GAIN) / 20)
    frequencies = np.linspace(0, 1, FFT // 2 + 1) * RATE / source.rate
    inside = frequencies < 1
    taps = signal.firwin2(511, [*frequencies[inside], 1.0], [*gain[inside], float(gain[inside][-1])])
    filtered = signal.fftconvolve(shifted, taps, mode="same")
    loudness = np.sqrt(np.mean(np.square(source.samples)) / max(1e-12, float(np.mean(np.square(filtered)))))
    loudest = float(np.abs(filtered).max(initial=1e-9)) * loudness
    scaled = np.clip(filtered * loudness / max(1.0, loudest), -1.0, 1.0)
    return Audio(scaled.astype(np.float32), source.rate)


def _long_term(audio: Audio) -> Array:
    """Smoothed long-term average power spectrum (1025,) of the louder half of the frames."""
    frames = np.abs(librosa.stft(resample(audio, RATE).samples, n_fft=FFT)) ** 2
    level = frames.sum(axis=0)
    mean = frames[:, level >= np.median(level)].mean(axis=1).astype(np.float64)
    return np.asarray(ndimage.uniform_filter1d(mean, max(1, round(SMOOTHING * FFT / RATE)), mode="nearest"))
