"""Optional dependencies (extras): imported on use, with an error that says how to install them."""

import importlib
import warnings
from typing import Any

from svc.errors import DataError


class MissingExtra(DataError):
    """An optional library is not installed."""


def import_optional(module: str, group: str = "eval") -> Any:
    """Import a library of one of the extras in pyproject.toml.

    Raises:
        MissingExtra: it is not.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs
            return importlib.import_module(module)
    except ImportError:
        raise MissingExtra(f"{module} is not installed; run `pip install -e '.[{group}]' -c constraints.txt`") from None
