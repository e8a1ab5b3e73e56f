"""Expression that a conversion keeps: rate and extent of vibrato, and slopes of f0 in glides and onsets."""

import math

import numpy as np
from numpy.typing import NDArray

from svc.evaluation.metrics.f0 import Curve, Scores
from svc.utils.units import FRAMES_PER_SECOND

WINDOW, STEP = 50, 10  # frames: three periods of vibrato
RATES = np.arange(4.0, 8.01, 0.1)  # Hz
MIN_EXTENT, MIN_SHARE = 15.0, 0.6  # cents, and share of the variance that is one sine: less is no vibrato
SLOPE = 5  # frames between which slopes are measured
MIN_SLOPE = 100.0  # cents per second; what is flatter is no glide

_TIME = np.arange(WINDOW) / FRAMES_PER_SECOND
_TREND, _ = np.linalg.qr(np.vander(_TIME, 3))  # (WINDOW, 3), orthonormal
_WAVES = np.exp(2j * np.pi * RATES[:, None] * _TIME)
_PAIRS = np.stack([_WAVES.imag, _WAVES.real], axis=-1)
_BASES, _TRIANGLES = np.linalg.qr(_PAIRS - _TREND @ (_TREND.T @ _PAIRS))  # (rates, WINDOW, 2), (rates, 2, 2)


def expression_scores(*, output_f0: Curve, source_f0: Curve) -> Scores:
    """How an output keeps the expression of its source, from f0 (N,) in Hz, 0 where unvoiced.

    Returns:
        ``vibrato_extent``: median ratio of the extents of vibrato, output to source; ``vibrato_rate``: median
        difference of their rates in Hz; ``f0_slope``: correlation of the slopes of f0 in glides of the source. NaN
        where the source has no vibrato or no glides.
    """
    count = min(len(output_f0), len(source_f0))
    output, source = (np.log2(np.maximum(f0[:count], 1)) * 1200 for f0 in (output_f0, source_f0))
    both = (output_f0[:count] > 0) & (source_f0[:count] > 0)
    ratios, differences = [], []
    for start in range(0, count - WINDOW + 1, STEP):
        part = slice(start, start + WINDOW)
        if not both[part].all():
            continue
        rate, extent, share = _vibrato(source[part])
        if extent >= MIN_EXTENT and share >= MIN_SHARE:
            output_rate, output_extent, _ = _vibrato(output[part])
            ratios.append(output_extent / extent)
            differences.append(abs(output_rate - rate))
    return {
        "vibrato_extent": float(np.median(ratios)) if ratios else math.nan,
        "vibrato_rate": float(np.median(differences)) if ratios else math.nan,
        "f0_slope": _slope_correlation(output, source, both),
    }


def _vibrato(cents: NDArray[np.float64]) -> tuple[float, float, float]:
    """Rate in Hz and extent in cents of the best sine in (WINDOW,), and its share of the variance around a trend."""
    rest = cents - _TREND @ (_TREND.T @ cents)
    parts = np.einsum("rtk,t->rk", _BASES, rest)
    explained = np.square(parts).sum(axis=1)
    best = int(explained.argmax())
    extent = np.hypot(*np.linalg.solve(_TRIANGLES[best], parts[best]))
    return float(RATES[best]), float(extent), float(explained[best] / max(np.square(rest).sum(), 1e-9))


def _slope_correlation(output: NDArray[np.float64], source: NDArray[np.float64], both: NDArray[np.bool_]) -> float:
    slopes = [(curve[SLOPE:] - curve[:-SLOPE]) * FRAMES_PER_SECOND / SLOPE for curve in (output, source)]
    inside = np.lib.stride_tricks.sliding_window_view(both, SLOPE + 1).all(axis=1) if len(both) > SLOPE else both[:0]
    gliding = inside & (np.abs(slopes[1]) >= MIN_SLOPE)
    if gliding.sum() < WINDOW or not np.ptp(slopes[0][gliding]):
        return math.nan
    return float(np.corrcoef(slopes[0][gliding], slopes[1][gliding])[0, 1])
