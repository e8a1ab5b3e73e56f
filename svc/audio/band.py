"""Bandwidth of a recording: the highest frequency that it carries, from its long-term average spectrum (LTAS).

A recording at 16 kHz that somebody stored at 44.1 kHz carries nothing above 8 kHz, and a lossy file often nothing
above 16 kHz: there the spectrum falls off a cliff to a floor that is flat. A natural roll-off is gradual, and goes on
behind; then the band ends at Nyquist.
"""

from collections.abc import Iterable

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from svc.audio.files import Audio

WINDOW_SECONDS = 0.1  # at least, rounded up to a power of two in samples
MIN_DROP = 15.0  # dB of a cliff to a flat floor
MAX_SPREAD = 6.0  # dB between the 5th and the 95th percentile of a flat floor
DEEP_DROP = 40.0  # dB of a cliff to any floor
PASSBAND = 0.85  # of the frequency of a cliff: where the level before it is measured, up to the cliff
STOPBAND = 1.1  # of it: where the level behind it is measured, up to Nyquist
SHOULDER = (0.89, 0.935)  # of the foot of a cliff: still before it, where a natural roll-off is low already
FOOT = 0.985  # of the old Nyquist frequency, where resamplers have attenuated all
MIN_BAND = 2000.0  # Hz
ABOVE_FLOOR = 6.0  # dB: level that still counts as content
DYNAMIC_RANGE = 1e-12  # of the power of the loudest frequency; quieter is nothing
FULL_BAND = 0.96  # of Nyquist: a band that ends above ends at Nyquist
_BLACKMAN_HARRIS = (0.35875, -0.48829, 0.14128, -0.01168)  # side lobes at −92 dB


def measure_band(parts: Iterable[Audio]) -> float:
    """Highest frequency in Hz that a recording carries, Nyquist if its spectrum has no cliff; 0 if there are no parts.

    Args:
        parts: of the recording, each at least as long as a window.
    """
    power: NDArray[np.float64] | None = None
    rate = 0
    for part in parts:
        rate = part.rate
        spectrum = _summed_power(part)
        power = spectrum if power is None else power + spectrum
    return 0.0 if power is None else _upper_edge(power, rate)


def _summed_power(audio: Audio) -> NDArray[np.float64]:
    """Power (size // 2 + 1,), summed over windows that overlap by half."""
    size = 1 << int(np.ceil(np.log2(WINDOW_SECONDS * audio.rate)))
    padded = np.pad(audio.samples, (0, max(0, size - len(audio.samples))))
    phase = 2 * np.pi * np.arange(size) / size
    window = sum(weight * np.cos(order * phase) for order, weight in enumerate(_BLACKMAN_HARRIS))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    power = np.zeros(size // 2 + 1)
    for first in range(0, len(windows), 256):
        spectra = scipy.fft.rfft(windows[first : first + 256] * np.asarray(window, np.float32), axis=1)
        power += np.square(np.abs(spectra), dtype=np.float64).sum(axis=0)
    return power


def _upper_edge(power: NDArray[np.float64], rate: int) -> float:
    """Frequency in Hz at the foot of the deepest cliff of a long-term spectrum."""
    nyquist = rate / 2
    level = 10 * np.log10(power + DYNAMIC_RANGE * power.max() + 1e-30)
    last = len(level) - 1
    first, end = round(MIN_BAND / nyquist * last), int(0.97 * last / STOPBAND)
    if first >= end:
        return nyquist
    cliffs = np.unique(np.linspace(first, end, 400).astype(int))
    floors = np.array([_quantile(level[int(STOPBAND * cliff) :], 0.95) for cliff in cliffs])
    drops = np.array([_quantile(level[int(PASSBAND * cliff) : cliff + 1], 0.5) for cliff in cliffs]) - floors
    floor = floors[drops.argmax()]
    above = np.flatnonzero(level > floor + ABOVE_FLOOR)
    if not len(above) or above[-1] > FULL_BAND * last:
        return nyquist
    foot = int(above[-1])
    drop = np.median(level[int(SHOULDER[0] * foot) : int(SHOULDER[1] * foot) + 1]) - floor
    low, high = np.quantile(level[int(1.03 * foot) : int(0.97 * last)], (0.05, 0.95)) if foot < 0.94 * last else (0, 0)
    if drop < MIN_DROP or (drop < DEEP_DROP and high - low > MAX_SPREAD):
        return nyquist
    return float(min(foot / FOOT / last, 1.0) * nyquist)


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """As NumPy's, several times faster for few values."""
    place, between = divmod(share * (len(values) - 1), 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    parts = np.partition(values, (low, high))
    return float(parts[low] + between * (parts[high] - parts[low]))
