"""Pseudo-quadrature-mirror filter bank (PQMF): M critically sampled sub-bands and back (Nguyen 1994).

The prototype is a Kaiser-windowed low pass. Its cutoff is searched for the best reconstruction on construction.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

TAPS_PER_BAND = 12
BETA = 9.0  # of the Kaiser window; of 8–11 the one that reconstructs best: −63 dB


class PQMF(nn.Module):
    """PQMF analysis (B, C, T) → (B, C·M, T / M) and synthesis back, without delay. T is a multiple of M."""

    def __init__(self, bands: int):
        super().__init__()
        self.bands = bands
        filters = _filters(bands)
        self.register_buffer("filters", torch.from_numpy(filters).float()[:, None], persistent=False)
        self.padding = (filters.shape[1] - 1) // 2
        self.filters: Tensor

    @property
    def margin(self) -> int:
        """One-sided receptive field in samples, analysis and synthesis together."""
        return 2 * self.padding if self.bands > 1 else 0

    def analysis(self, audio: Tensor) -> Tensor:
        """Sub-bands (B, C·M, T / M) of audio (B, C, T); band m of channel c is channel c·M + m."""
        if self.bands == 1:
            return audio
        batch, channels, _ = audio.shape
        padded = functional.pad(audio.flatten(0, 1)[:, None], (self.padding, self.padding))
        bands = functional.conv1d(padded, self.filters, stride=self.bands)
        return bands.reshape(batch, channels * self.bands, -1)

    def synthesis(self, bands: Tensor) -> Tensor:
        """Audio (B, 1, T) from sub-bands (B, M, T / M)."""
        if self.bands == 1:
            return bands
        audio = functional.conv_transpose1d(bands, self.filters, stride=self.bands)
        return audio[..., self.padding : self.padding + bands.shape[-1] * self.bands]


@lru_cache
def _filters(bands: int) -> NDArray[np.float64]:
    """Filters (M, taps), one for each band; synthesis is the transpose of analysis."""
    if bands == 1:
        return np.ones((1, 1))
    cutoffs = np.linspace(0.4, 0.65, 26) / bands
    for _ in range(3):  # grid search, refined around the best
        best = cutoffs[np.argmin([_ripple(_prototype(bands, cutoff), bands) for cutoff in cutoffs])]
        step = cutoffs[1] - cutoffs[0]
        cutoffs = np.linspace(best - step, best + step, 21)
    prototype = _prototype(bands, best)
    n = np.arange(len(prototype)) - (len(prototype) - 1) / 2
    band = np.arange(bands)[:, None]
    angle, turn = (2 * band + 1) * math.pi / (2 * bands) * n, (-1.0) ** band * math.pi / 4
    return 2 * math.sqrt(bands) * prototype * np.cos(angle + turn)


def _prototype(bands: int, cutoff: float) -> NDArray[np.float64]:
    """Low-pass prototype of unit gain; the cutoff is relative to the Nyquist frequency."""
    taps = TAPS_PER_BAND * bands + 1
    n = np.arange(taps) - (taps - 1) / 2
    prototype: NDArray[np.float64] = np.sinc(cutoff * n) * cutoff * np.kaiser(taps, BETA)
    return prototype


def _ripple(prototype: NDArray[np.float64], bands: int) -> float:
    """Ripple of the summed power of adjacent bands (aliases cancel by construction)."""
    size = -(-4096 // (2 * bands)) * 2 * bands  # a whole number of bins in half a band
    power = np.abs(np.fft.fft(prototype, size)) ** 2
    shift = size // (2 * bands)
    k = np.arange(shift + 1)
    return float(np.ptp(power[k] + power[(k - shift) % size]) / power[0])
