"""Synthetic noise for supervised trainings on dirty recordings: white, pink, hum and babble, mixed in at an SNR."""

from collections.abc import Sequence

import numpy as np

from svc.audio.files import Samples

KINDS = ("white", "pink", "hum", "babble")
VOICES = 4  # in babble


def make_noise(
    kind: str, length: int, sample_rate: int, draw: np.random.Generator, clips: Sequence[Samples]
) -> Samples:
    """Noise (T,) at unit RMS level.

    Args:
        kind: one of ``KINDS``; pink noise falls by 3 dB an octave, hum is mains hum with harmonics, babble the sum of
            random clips.
        length: samples.
        sample_rate: Hz.
        draw: random numbers.
        clips: recordings for babble; each is repeated if it is too short.
    """
    if kind == "hum":
        time, f0 = np.arange(length) / sample_rate, draw.choice([50.0, 60.0])
        parts = [draw.uniform(0.1, 1) * np.sin(2 * np.pi * (k * f0 * time + draw.random())) for k in range(1, 13)]
        noise = np.sum(parts, axis=0)
    elif kind == "babble":
        noise = np.zeros(length)
        for index in draw.integers(len(clips), size=VOICES):
            clip = np.roll(clips[index], draw.integers(len(clips[index])))
            noise += np.resize(clip, length) / max(1e-6, float(np.sqrt(np.mean(np.square(clip)))))
    else:
        noise = draw.standard_normal(length)
        if kind == "pink":
            spectrum = np.fft.rfft(noise)
            noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), n=length)
    return (noise / max(1e-6, float(np.sqrt(np.mean(np.square(noise)))))).astype(np.float32)


def mix(clean: Samples, noise: Samples, snr_db: float) -> Samples:
    """Recording (T,) with noise (T,) at unit RMS level added at a signal-to-noise ratio in dB."""
    level = float(np.sqrt(np.mean(np.square(clean)))) * 10 ** (-snr_db / 20)
    return clean + np.float32(level) * noise
