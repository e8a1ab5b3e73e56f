"""Frequency weighting: A-weighting (IEC 61672), and the pre-emphasis filters of Wright and Välimäki (1911.08922).

A curve is a gain by frequency, applied exactly, bin by bin of a spectrum. All have zero phase: in a distance of two
signals that are filtered alike, the phase of the filter does not matter.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

A_CORNERS = 20.598997, 107.65265, 737.86223, 12194.217  # Hz, poles of the A-weighting (IEC 61672)
COEFFICIENT, AT_RATE = 0.85, 44_100  # of the pre-emphasis filters; at other rates of the same time constant
PADDING = 0.05  # s; responses have decayed after it

Gains = NDArray[np.floating]


def a_weighting(frequencies: Gains) -> Gains:
    """A-weighting in dB at frequencies in Hz, 0 dB at 1 kHz (IEC 61672-1, annex E).

    The analogue curve, not its bilinear transform, which is 24 dB too low at 7.5 kHz for a sample rate of 16 kHz.
    """
    squares = frequencies**2
    low, middle, high, top = (corner**2 for corner in A_CORNERS)
    decibels: Gains = 2.0 + 20 * np.log10(
        top * squares**2 / ((squares + top) * (squares + low) * np.sqrt((squares + middle) * (squares + high)))
    )
    return decibels


def _one_zero(sign: int, delay: int) -> Callable[[Gains, float], Gains]:
    """|1 ± a z^−delay| with the coefficient a at the rate."""

    def curve(frequencies: Gains, rate: float) -> Gains:
        a = COEFFICIENT ** (AT_RATE / rate)
        gains: Gains = np.abs(1 + sign * a * np.exp(-2j * np.pi * delay * frequencies / rate))
        return gains

    return curve


def _a_gain(frequencies: Gains, rate: float) -> Gains:  # noqa: ARG001
    gains: Gains = 10 ** (a_weighting(np.maximum(frequencies, 1.0)) / 20)
    return gains


_LOW_PASS = _one_zero(1, 1)
CURVES: dict[str, Callable[[Gains, float], Gains]] = {
    "a_weighting": _a_gain,
    "a_weighting_low_pass": lambda hz, rate: _a_gain(hz, rate) * _LOW_PASS(hz, rate),  # the paper's choice
    "low_pass": _LOW_PASS,  # 1 + 0.85 z⁻¹
    "pre_emphasis": _one_zero(-1, 1),  # 1 − 0.85 z⁻¹
    "folded_pre_emphasis": _one_zero(-1, 2),  # 1 − 0.85 z⁻²: low at Nyquist too
}


def bin_gains(name: str, size: int, sample_rate: float) -> Gains:
    """Gain (size // 2 + 1,) of a curve at each bin of a transform of ``size`` samples."""
    return CURVES[name](np.fft.rfftfreq(size, 1 / sample_rate), sample_rate)


def weight(audio: Tensor, name: str, sample_rate: float) -> Tensor:
    """Audio (B, T) filtered by a curve, exactly and with zero phase, by its spectrum; silence is assumed around it."""
    gains = _gains(name, audio.shape[-1], sample_rate).to(audio.device)
    spectrum = torch.fft.rfft(audio.float(), n=2 * (len(gains) - 1)) * gains
    return torch.fft.irfft(spectrum)[..., : audio.shape[-1]]


@lru_cache(maxsize=8)
def _gains(name: str, length: int, sample_rate: float) -> Tensor:
    import scipy.fft  # not for every conversion, which imports this module

    size = 2 * scipy.fft.next_fast_len((length + round(PADDING * sample_rate) + 1) // 2)
    return torch.from_numpy(bin_gains(name, size, sample_rate)).float()
