"""Progress bars (tqdm) with the time left: live in a terminal, a line now and then in a log."""

import os
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], name: str, unit: str, total: int, initial: int = 0, quiet: bool = False) -> "tqdm[T]":
    """The items, with progress shown on the error output."""
    return tqdm(items, desc=name, unit=unit, total=total, initial=initial, disable=quiet, **_tqdm_options())


def bar(name: str, total: float, unit: str) -> "tqdm[Any]":
    """A bar to move by hand."""
    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    return tqdm(desc=name, total=total, unit=unit, bar_format=shape, **_tqdm_options())


def close_bars() -> None:
    """Close the bars that an error left open, so that its message begins on a line of its own."""
    bars: Any = tqdm
    for meter in list(bars._instances):
        meter.close()


def _tqdm_options() -> dict[str, Any]:
    if sys.stderr.isatty():
        return {"dynamic_ncols": True, "mininterval": 0.2, "smoothing": 0.05}
    interval = float(os.environ.get("SVC_PROGRESS_SECONDS", "20"))
    return {"ncols": 100, "mininterval": interval, "maxinterval": 3 * interval, "smoothing": 0.05}
