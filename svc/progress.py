"""Progress with an estimate of the time left: a live bar for a person, a line now and then for a log."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm


T = TypeVar("T")


def progress(
    items: Iterable[T], name: str, unit: str, total: int, initial: int = 0, quiet: bool = False
) -> "tqdm[T]":
    """The items, with progress shown on the error output."""
    live = sys.stderr.isatty()
    return tqdm(
        items,
        desc=name,
        unit=unit,
        total=total,
        initial=initial,
        disable=quiet,
        dynamic_ncols=live,
        mininterval=0.2 if live else 20.0,
        maxinterval=1.0 if live else 60.0,
        ncols=None if live else 100,
        smoothing=0.05,
    )
