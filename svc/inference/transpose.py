"""The key: by how many semitones a song is moved before somebody else sings it."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from svc.errors import DataError
from svc.features.conditioning import LIMITS
from svc.utils.units import semitones_to_ratio

Curve = NDArray[np.floating]
Key = float | Literal["auto", "match"]

MOST = 48  # semitones
OUTSIDE = 3.0  # what a semitone outside of the range counts beside one from the median
SLACK = 1.0  # semitones past a singer's range that are as good as within


def parse(text: str) -> Key:
    """``auto``, ``match`` or semitones.

    Raises:
        DataError: it is none of them.
    """
    word = text.strip().lower()
    if word == "auto":
        return "auto"
    if word == "match":
        return "match"
    try:
        semitones = float(word)
    except ValueError:
        semitones = math.nan
    if not abs(semitones) <= MOST:
        raise DataError(f"--transpose {text}: give auto, match, or semitones between -{MOST} and {MOST}")
    return semitones


def choose(key: Key, f0: Curve, range_: tuple[float, float, float]) -> float:
    """Semitones for a song of voiced f0 (K,) and a singer's median, lowest and highest f0; all in Hz, 0 if not known.

    ``auto`` is the number of octaves that brings the song's median nearest to the singer's, where every semitone that
    its notes lie outside of the range on average counts as three; so it stays in key with its backing track. ``match``
    brings the medians together, as the paper does with the means, and leaves the key.
    """
    if key not in ("auto", "match"):
        return float(key)
    median, low, high = range_
    if not len(f0) or median <= 0:
        return 0.0
    away = 12 * math.log2(median / float(np.median(f0)))
    if key == "match":
        return round(away, 2)
    octaves = [12.0 * count for count in range(-4, 5)]
    return min(octaves, key=lambda shift: abs(away - shift) + OUTSIDE * _outside(f0, shift, low, high))


def shifted(f0: Curve, semitones: float) -> NDArray[np.float32]:
    """A melody (N,) in Hz moved, within what the generator can be asked for."""
    return np.clip(f0 * np.float32(semitones_to_ratio(semitones)), *LIMITS).astype(np.float32)


def beyond(f0: Curve, low: float, high: float) -> tuple[float, float]:
    """Shares of the voiced frames (K,) that lie below and above a singer's range in Hz; 0 if that is not known."""
    if not len(f0) or high <= 0:
        return 0.0, 0.0
    slack = semitones_to_ratio(SLACK)
    return float(np.mean(f0 < low / slack)), float(np.mean(f0 > high * slack))


def _outside(f0: Curve, shift: float, low: float, high: float) -> float:
    """Mean distance in semitones of a shifted melody from a range."""
    if high <= 0:
        return 0.0
    notes = 12 * np.log2(f0) + shift
    below, above = 12 * math.log2(low) - SLACK - notes, notes - 12 * math.log2(high) - SLACK
    return float(np.maximum(0, np.maximum(below, above)).mean())
