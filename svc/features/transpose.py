"""Transposition: by how many semitones f0 is shifted before another speaker sings it."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from svc.errors import DataError
from svc.utils.units import F0_RANGE_HZ, semitones_to_ratio

F0Curve = NDArray[np.floating]
Transpose = float | Literal["auto", "match"]

MAX_SEMITONES = 48
OUTSIDE_PENALTY = 3.0  # weight of a semitone outside the range, relative to a semitone from the median
SHIFT_PENALTY = 3.8  # semitones from the median that an octave must gain: in doubt the song stays where it is
RANGE_TOLERANCE = 1.0  # semitones past the range that count as inside


def parse_transpose(text: str) -> Transpose:
    """``auto``, ``match`` or a number of semitones.

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
    if not abs(semitones) <= MAX_SEMITONES:
        raise DataError(f"--transpose {text}: give auto, match, or semitones between -{MAX_SEMITONES} and "
                        f"{MAX_SEMITONES}")  # fmt: skip
    return semitones


def choose_transposition(transpose: Transpose, f0: F0Curve, range_: tuple[float, float, float]) -> float:
    """Semitones to shift a song by, for a speaker.

    ``auto`` shifts by whole octaves into the speaker's range, so that a song stays in the key of its backing track: the
    distance from the speaker's median counts once, the mean distance of the notes from the range three times. In doubt
    the song stays where it is.
    ``match`` shifts the median to the speaker's, as the paper does with the means, and leaves the key. f0 is that of
    the voiced frames (K,) in Hz, the range median, lowest and highest f0 of the speaker, 0 where not measured.
    """
    if transpose not in ("auto", "match"):
        return float(transpose)
    median, low, high = range_
    if not len(f0) or median <= 0:
        return 0.0
    distance = 12 * math.log2(median / float(np.median(f0)))
    if transpose == "match":
        return round(distance, 2)
    octaves = [12.0 * count for count in range(-4, 5)]

    def cost(shift: float) -> float:
        outside = OUTSIDE_PENALTY * _mean_outside(f0, shift, low, high)
        return abs(distance - shift) + outside + SHIFT_PENALTY * abs(shift) / 12

    return min(octaves, key=cost)


def transpose_f0(f0: F0Curve, semitones: float) -> NDArray[np.float32]:
    """f0 (N,) in Hz shifted by semitones, clipped to ``F0_RANGE_HZ``."""
    return np.clip(f0 * np.float32(semitones_to_ratio(semitones)), *F0_RANGE_HZ).astype(np.float32)


def share_outside_range(f0: F0Curve, low: float, high: float) -> tuple[float, float]:
    """Shares of the voiced frames (K,) below and above a range in Hz; 0 where the range is not measured."""
    if not len(f0) or high <= 0:
        return 0.0, 0.0
    tolerance = semitones_to_ratio(RANGE_TOLERANCE)
    return float(np.mean(f0 < low / tolerance)), float(np.mean(f0 > high * tolerance))


def _mean_outside(f0: F0Curve, shift: float, low: float, high: float) -> float:
    """Mean distance in semitones of shifted f0 from a range."""
    if high <= 0:
        return 0.0
    notes = 12 * np.log2(f0) + shift
    below, above = 12 * math.log2(low) - RANGE_TOLERANCE - notes, notes - 12 * math.log2(high) - RANGE_TOLERANCE
    return float(np.maximum(0, np.maximum(below, above)).mean())
