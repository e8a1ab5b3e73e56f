"""A-weighted loudness on the 10 ms clock."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from svc.audio.stft import power_spectrogram
from svc.utils.units import hop_samples

FLOOR = -100.0  # dB
WINDOW_FRAMES = 4  # of 10 ms
A_CORNERS = 20.598997, 107.65265, 737.86223, 12194.217  # Hz, poles of the A-weighting (IEC 61672)


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
    squares = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 1.0) ** 2
    low, middle, high, top = (corner**2 for corner in A_CORNERS)
    decibels = 2.0 + 20 * np.log10(
        top * squares**2 / ((squares + top) * (squares + low) * np.sqrt((squares + middle) * (squares + high)))
    )
    return torch.from_numpy(10 ** (decibels / 10) / 1.5)
