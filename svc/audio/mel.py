"""Mel filter bank on Slaney's scale: the numbers of librosa's, without its second of imports."""

import numpy as np
from numpy.typing import NDArray

HZ_PER_MEL = 200 / 3  # up to 1 kHz, then 27 mels for a factor of 6.4
BREAK_MEL, LOG_STEP = 15.0, np.log(6.4) / 27


def mel_filters(rate: float, fft: int, bands: int, low: float, high: float) -> NDArray[np.float64]:
    """Triangular filters (bands, fft // 2 + 1) of height 1.

    Args:
        rate: Hz.
        fft: samples of the transform.
        bands: number of filters.
        low, high: Hz, edges of the first and the last.
    """
    edges = _mel_to_hz(np.linspace(_hz_to_mel(low), _hz_to_mel(high), bands + 2))[:, None]
    frequencies = np.fft.rfftfreq(fft, 1 / rate)
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


def _hz_to_mel(hz: float) -> float:
    mel = hz / HZ_PER_MEL
    return mel if mel < BREAK_MEL else BREAK_MEL + float(np.log(mel / BREAK_MEL)) / LOG_STEP


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return HZ_PER_MEL * np.where(mel < BREAK_MEL, mel, BREAK_MEL * np.exp(LOG_STEP * (mel - BREAK_MEL)))
