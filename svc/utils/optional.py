"""Optional dependencies (extras): imported on use, with an error that says how to install them."""

import importlib
import warnings
from importlib import metadata
from importlib.util import find_spec
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
        raise _missing(module, group) from None


def check_installed(module: str, group: str = "eval") -> None:
    """Look for a library of one of the extras without importing it.

    Raises:
        MissingExtra: it is not installed.
    """
    if find_spec(module) is None:
        raise _missing(module, group)


def _missing(module: str, group: str) -> MissingExtra:
    names = " ".join(f"'{name}'" for name in _requirements(group))
    return MissingExtra(f"{module} is not installed; run `pip install {names}`")


def _requirements(group: str) -> list[str]:
    """Requirements of an extra as the installed package states them, so that no clone of the repository is needed."""
    stated = [requirement.partition(";") for requirement in metadata.requires("svc-wavenet") or []]
    return [name.strip() for name, _, marker in stated if marker.split("extra == ")[-1].strip("'\" ") == group]
