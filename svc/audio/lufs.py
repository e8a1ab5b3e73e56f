"""Loudness of a whole song in LUFS (ITU-R BS.1770-4), by pyloudnorm."""

import math

import numpy as np

from svc.audio.files import Samples

PIECE = 600  # seconds measured at a time
SHORTEST = 0.4  # seconds
ABSOLUTE, RELATIVE = -70.0, -10.0  # gates: LUFS, and dB below the mean of what is above the first


def integrated(samples: Samples, rate: int) -> float:
    """Integrated loudness of samples (T,) or (T, 2) in LUFS; −inf where there is nothing to measure.

    Songs longer than ten minutes are measured in pieces, whose blocks are gated together.
    """
    import pyloudnorm

    meter = pyloudnorm.Meter(rate)
    blocks: list[float] = []
    for start in range(0, len(samples), PIECE * rate):
        piece = np.asarray(samples[start : start + PIECE * rate], dtype=np.float64)
        if len(piece) >= SHORTEST * rate and piece.any():
            meter.integrated_loudness(piece)
            blocks += meter.blockwise_loudness
    levels = np.array([block for block in blocks if block >= ABSOLUTE])
    if not len(levels):
        return -math.inf
    return _mean(levels[levels > _mean(levels) + RELATIVE])


def _mean(levels: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))
