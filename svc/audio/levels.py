"""Level of a part of a sound by frequency band."""

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

BANDS_KHZ = ((0, 1), (1, 4), (4, 8), (8, 12), (12, 20))
MIN_RATIO = 1e-12  # −120 dB


def level_by_band(part: NDArray[np.floating], whole: NDArray[np.floating], sample_rate: int) -> dict[str, float]:
    """Level of a part relative to the whole by frequency band, in dB: 10·log10 of the ratio of the bands' energies.

    Args:
        part: samples (T,), for instance what the WaveNet adds.
        whole: samples (T,), for instance the generator's output.
        sample_rate: Hz.

    Returns:
        dB for ``0-1``, ``1-4``, ``4-8``, ``8-12`` and ``12-20`` kHz, at least −120; NaN where the whole has no energy
        and for bands above half the sample rate.

    Raises:
        ValueError: the lengths differ.
    """
    if part.shape != whole.shape or part.ndim != 1:
        raise ValueError(f"part {part.shape} and whole {whole.shape} must be (T,) of one length")
    frequencies = np.fft.rfftfreq(len(whole), 1000 / sample_rate)  # kHz
    energies = [np.square(np.abs(scipy.fft.rfft(samples))).astype(np.float64) for samples in (part, whole)]
    levels = {}
    for low, high in BANDS_KHZ:
        inside = (frequencies >= low) & (frequencies < high) & (low < sample_rate / 2000)
        added, total = (float(energy[inside].sum()) for energy in energies)
        levels[f"{low}-{high}"] = 10 * math.log10(max(MIN_RATIO, added / total)) if total else math.nan
    return levels
