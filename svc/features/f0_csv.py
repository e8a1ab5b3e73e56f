"""f0 curves in CSV files: a column of seconds and one of Hz, understood by its header or refused."""

import csv
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.errors import DataError, os_errors_as
from svc.utils.atomic import write_bytes

F0Curve = NDArray[np.float32]
Table = NDArray[np.float64]

MAX_SECONDS, MAX_HZ = 1e6, 20_000.0
MAX_MISSING = 1.0  # s that a curve may end before the song, or after it
MEDIAN_HZ = 30.0, 2500.0  # of the voiced points
LEAST_HZ = 80.0  # of their median if there is no header: MIDI notes are below
MIN_CONFIDENCE = 0.3  # of voiced points
_SECONDS = dict.fromkeys(("seconds", "second", "sec", "s", "time", "t"), 1.0) | {"ms": 1e-3, "milliseconds": 1e-3}
_HZ, _MIDI = {"hz", "f0", "frequency", "freq", "pitch"}, {"midi", "note"}
_CONFIDENCE = {"confidence", "periodicity", "probability"}
_OTHER_UNITS = {"cents", "cent", "semitones", "bin", "log", "frame", "frames", "samples"}
_FORM = "lines of seconds,hz with 0 Hz where unvoiced"


def read_csv(path: Path, frames: int) -> F0Curve:
    """An f0 curve from CSV: lines ``seconds,hz`` in time order, 0 Hz for unvoiced.

    A header may name columns in another order, milliseconds, MIDI notes, and a confidence, below .3 for unvoiced.
    Values are interpolated in cents between voiced points and held unvoiced otherwise, to N frames.

    Raises:
        DataError: the file is not such a table, has no voiced point or hardly any that can be sung, or is a second
            shorter or longer than the song.
    """
    rows = _read_rows(path)
    header = None if not rows or _is_number(rows[0][0]) else rows.pop(0)
    if not rows:
        raise DataError(f"{path}: holds no {_FORM}; give some")
    table = _parse(path, header, rows)
    in_range = (table >= 0) & (table <= (MAX_SECONDS, MAX_HZ))
    if not in_range.all() or (np.diff(table[:, 0]) <= 0).any():
        raise DataError(f"{path}: times must rise and frequencies lie in 0–{MAX_HZ:.0f} Hz; correct the table")
    _check_melody(path, table, frames / 100, header is not None)
    return _on_clock(table[:, 0], table[:, 1], frames)


def write_csv(path: Path, f0: F0Curve) -> None:
    """Write a curve as lines ``seconds,hz``, which ``read_csv`` gives back to the bit; the file appears whole or not.

    Raises:
        DataError: the folder does not take it.
    """
    lines = [f"{(n + 0.5) / 100:.3f},{value!s}" for n, value in enumerate(f0)]
    with os_errors_as(DataError, path, "cannot be written", "give another name"):
        write_bytes(Path(path), "\r\n".join(["seconds,hz", *lines, ""]).encode())


def _read_rows(path: Path) -> list[list[str]]:
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            return [row for row in csv.reader(stream) if row]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not CSV ({error}); give {_FORM}") from None


def _parse(path: Path, header: list[str] | None, rows: list[list[str]]) -> Table:
    """Seconds and Hz (K, 2)."""
    if header is None and {len(row) for row in rows} != {2}:
        raise DataError(f"{path}: has no header and not two columns (decimal commas?); give {_FORM}, or a header")
    columns = [set(re.findall("[a-z0-9]+", name.lower())) for name in header or ["seconds", "hz"]]
    time, pitch = (_find(columns, names) for names in (_SECONDS, _HZ | _MIDI))
    if time is None or pitch is None:
        raise DataError(f"{path}: its header names no column of seconds or ms, or none of hz or midi; give {_FORM}")
    confidence = _find(columns, _CONFIDENCE)
    try:
        numbers = np.array([[float(row[n]) for n in (time, pitch, confidence or 0)] for row in rows])
    except (ValueError, IndexError):
        raise DataError(f"{path}: a line is not of the form seconds,hz; correct it") from None
    seconds = numbers[:, 0] * min(_SECONDS[name] for name in columns[time] & _SECONDS.keys())
    hertz = numbers[:, 1]
    if columns[pitch] & _MIDI:
        hertz = np.where(hertz > 0, 440 * 2 ** ((np.minimum(hertz, 127.0) - 69) / 12), hertz)
    if confidence is not None:
        hertz = np.where(numbers[:, 2] < MIN_CONFIDENCE, 0.0, hertz)
    return np.stack([seconds, hertz], axis=1)


def _find(columns: list[set[str]], names: set[str] | dict[str, float]) -> int | None:
    """The first column with one of some names, in no unit that is not understood."""
    return next((n for n, words in enumerate(columns) if words & set(names) and not words & _OTHER_UNITS), None)


def _check_melody(path: Path, table: Table, seconds: float, has_header: bool) -> None:
    last, voiced = table[-1, 0], table[table[:, 1] > 0, 1]
    if last < seconds - MAX_MISSING:
        raise DataError(f"{path}: ends at {last:.1f} s of {seconds:.1f} s; continue it to the end, with 0 Hz where "
                        "unvoiced")  # fmt: skip
    if last > seconds + MAX_MISSING:
        raise DataError(f"{path}: goes on to {last:.1f} s, but the song ends at {seconds:.1f} s; give seconds, "
                        "of this song")  # fmt: skip
    if not len(voiced):
        raise DataError(f"{path}: holds no voiced point; give {_FORM}, or leave --f0-csv out")
    median = float(np.median(voiced))
    if not MEDIAN_HZ[0] <= median <= MEDIAN_HZ[1]:
        raise DataError(f"{path}: its median of {median:.4g} Hz is no note that is sung; give {_FORM}")
    if median < LEAST_HZ and not has_header:
        raise DataError(f"{path}: its median of {median:.4g} may be a MIDI note; begin it with a line seconds,hz or "
                        "seconds,midi")  # fmt: skip


def _on_clock(times: Table, values: Table, frames: int) -> F0Curve:
    centres = (np.arange(frames) + 0.5) / 100
    right = np.clip(np.searchsorted(times, centres, side="right"), 1, max(1, len(times) - 1))
    left = right - 1
    right = np.minimum(right, len(times) - 1)
    span = np.maximum(times[right] - times[left], 1e-9)
    share = np.clip((centres - times[left]) / span, 0, 1)
    nearest = np.where(share < 0.5, values[left], values[right])
    both = (values[left] > 0) & (values[right] > 0) & (share > 0) & (share < 1)
    safe = np.maximum(values, 1e-9)
    between = np.exp((1 - share) * np.log(safe[left]) + share * np.log(safe[right]))
    return np.where(both, between, nearest).astype(np.float32)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
