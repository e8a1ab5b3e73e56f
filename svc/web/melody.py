"""Melody: notes of an f0 curve, notes that were shifted by hand, and a plot of source and converted f0."""

import math
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import signal

from svc.errors import DataError
from svc.features.f0 import runs
from svc.features.transpose import MAX_SEMITONES
from svc.utils.units import FRAMES_PER_SECOND, semitones_to_ratio

Curve = NDArray[np.floating]
Row = tuple[float, float, str, float]  # of the table: start and end in s, name, shift in semitones

MAX_POINTS = 4000  # of a curve; the picture has no more columns
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
CYCLE = 18  # frames of a cycle of vibrato
NEW_NOTE = 0.7  # semitones from one note to another
MIN_FRAMES = 8  # of a note


def note_name(hertz: float) -> str:
    """Name of the nearest note, A4 = 440 Hz."""
    number = round(69 + 12 * math.log2(hertz / 440))
    return f"{NAMES[number % 12]}{number // 12 - 1}"


def find_notes(f0: Curve) -> list[Row]:
    """Rows of the notes of f0 (N,) in Hz, 0 where unvoiced: voiced stretches, divided where the pitch leaves a note."""
    edges = runs(f0 > 0)
    rows: list[Row] = []
    for start, stop in edges[np.diff(edges, axis=1)[:, 0] >= MIN_FRAMES].tolist():
        splits, _ = signal.find_peaks(_steps(_semitones(f0[start:stop])), NEW_NOTE, distance=MIN_FRAMES)
        for first, last in pairwise([start, *(start + splits).tolist(), stop]):
            name = note_name(float(np.median(f0[first:last])))
            rows.append((first / FRAMES_PER_SECOND, last / FRAMES_PER_SECOND, name, 0.0))
    return rows


def _steps(pitch: Curve) -> Curve:
    """Step (N,) in semitones at each frame of a pitch (N,): between the means over a cycle of vibrato on both sides."""
    sums, n = np.cumsum([0.0, *pitch]), np.arange(MIN_FRAMES, len(pitch) - MIN_FRAMES + 1)
    before, after = np.maximum(n - CYCLE, 0), np.minimum(n + CYCLE, len(pitch))
    means = (sums[n] - sums[before]) / (n - before), (sums[after] - sums[n]) / (after - n)
    return np.pad(np.abs(means[1] - means[0]), MIN_FRAMES)


def shift_notes(f0: Curve, rows: Sequence[Sequence[Any]]) -> NDArray[np.float32]:
    """f0 (N,) with the rows ``start, end, name, semitones`` of a table shifted.

    Raises:
        DataError: a row is not of that form.
    """
    shifted = np.asarray(f0, dtype=np.float32).copy()
    filled = [row for row in rows if any(str(cell or "").strip() for cell in row)]
    for number, (start, end, _name, semitones) in enumerate(filled, 1):
        try:
            first, last, shift = float(start), float(end), float(semitones or 0)
        except (TypeError, ValueError):
            raise DataError(f"note {number}: start, end and shift must be numbers") from None
        if not (0 <= first < last and abs(shift) <= MAX_SEMITONES):
            raise DataError(f"note {number}: it must end after its start, and be shifted by {MAX_SEMITONES} at most")
        part = slice(round(first * FRAMES_PER_SECOND), round(last * FRAMES_PER_SECOND))
        shifted[part] *= semitones_to_ratio(shift)
    return shifted


def plot_f0(source: Curve, converted: Curve, range_: tuple[float, float, float], name: str) -> bytes:
    """A PNG of two f0 curves (N,) in Hz, 0 where unvoiced, and a speaker's median, lowest and highest f0 in Hz."""
    figure = Figure(figsize=(5.6, 2.8), layout="constrained")
    axes = figure.subplots()
    if range_[2] > 0:
        label = f"range of {name}".replace("$", r"\$")
        axes.axhspan(*_semitones(np.array(range_[1:])), color="#ffedd5", linewidth=0, label=label)
    for curve, label, colour, width in ((source, "song", "#93c5fd", 3.5), (converted, "result", "#b91c1c", 1.0)):
        step = max(1, len(curve) // MAX_POINTS)
        shown = _semitones(curve[::step])
        seconds = (np.arange(len(shown)) * step + 0.5) / FRAMES_PER_SECOND
        axes.plot(seconds, shown, color=colour, linewidth=width, label=label)
    low, high = (math.floor(limit) for limit in axes.get_ylim())
    ticks = [number for number in range(low, high + 1) if number % 12 in (3, 7, 10)]  # C, E and G
    axes.set_yticks(ticks, [note_name(440 * semitones_to_ratio(tick)) for tick in ticks])
    axes.set_xlim(0, max(len(source), 1) / FRAMES_PER_SECOND)
    axes.set_xlabel("seconds")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    data = BytesIO()
    figure.savefig(data, format="png", dpi=200)
    return data.getvalue()


def _semitones(f0: Curve) -> Curve:
    """Semitones above 440 Hz, NaN where unvoiced."""
    return 12 * np.log2(np.where(f0 > 0, f0, np.nan) / 440)
