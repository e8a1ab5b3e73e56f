"""A-weighted loudness on the 10 ms clock."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from svc.audio.stft import power_spectrogram
from svc.utils.units import hop_samples

FLOOR = -100.0  # dB
WINDOW_FRAMES = 4  # of 10 ms


def a_weighted_loudness(audio: Tensor, sample_rate: int) -> Tensor:
    """A-weighted level of 40 ms Hann windows, as in DDSP (Engel et al. 2020).

    Args:
        audio: (B, T).
        sample_rate: Hz.

    Returns:
        (B, N) dB; a full-scale 1 kHz sine reads 0, silence reads −100. A 100 Hz sine reads 0.25 dB high: the
        weighting bends within the width of the window's spectrum.
    """
    hop = hop_samples(sample_rate)
    size = WINDOW_FRAMES * hop
    power = power_spectrogram(audio, size, hop) @ _weights(size, sample_rate).to(audio)
    return 10 * torch.log10(power + 10 ** (FLOOR / 10))


@lru_cache
def _weights(size: int, sample_rate: int) -> Tensor:
    """A-weighting of each bin as a power gain, over the spectral spread of the Hann window (1.5 bins)."""
    import librosa

    frequencies = librosa.fft_frequencies(sr=sample_rate, n_fft=size)
    decibels = librosa.A_weighting(np.maximum(frequencies, 1.0), min_db=None)
    return torch.from_numpy(10 ** (decibels / 10) / 1.5)
