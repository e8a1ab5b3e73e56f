"""Registry of frozen networks: ``load(name)`` gives an encoder, audio in, named layers out.

A module in this folder registers its classes with the decorator ``register``; nothing else names them. A module is
imported when one of its encoders is asked for: the names are read from the sources.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # importing this package is cheap
    from svc.encoders.base import Encoder

T = TypeVar("T", bound="type[Encoder]")

_CLASSES: dict[str, type[Encoder]] = {}


def register(name: str) -> Callable[[T], T]:
    """Class decorator: make an encoder known by a name, which becomes its ``name``."""

    def add(cls: T) -> T:
        if name in _CLASSES:
            raise ValueError(f"two encoders are called {name}")
        cls.name, _CLASSES[name] = name, cls
        return cls

    return add


class Registry(Mapping[str, "type[Encoder]"]):
    """Encoder classes by name, sorted; the module of a class is imported when the class is taken."""

    def __init__(self) -> None:
        pattern = re.compile(r'^@register\("([^"]+)"\)$', re.MULTILINE)
        files = {file.stem: file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("*.py")}
        modules = {name: stem for stem, source in files.items() for name in pattern.findall(source)}
        self._modules = dict(sorted((dict.fromkeys(_CLASSES, "") | modules).items()))

    def __getitem__(self, name: str) -> type[Encoder]:
        if name not in _CLASSES:
            importlib.import_module(f"{__name__}.{self._modules[name]}")
        return _CLASSES[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules


@cache
def classes() -> Registry:
    """All encoder classes by name, sorted."""
    return Registry()


def load(name: str, *, random_weights: bool = False) -> Encoder:
    """A new encoder on the CPU, with its weights, or with random ones, always the same.

    Raises:
        KeyError: no encoder has that name.
        MissingExtra: a library that it needs is not installed.
        WeightsError: its weights are not there, or damaged.
    """
    if not random_weights:
        return classes()[name]()
    import torch

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder = classes()[name](None)
        for weight in encoder.parameters():
            if weight.ndim > 1 and not weight.any():  # the identity at the start of a training is no control
                torch.nn.init.xavier_normal_(weight)
        return encoder


def has_random_weights(name: str) -> bool:
    """Whether an encoder can be built without its weights: its constructor takes a file, by default not None."""
    file = inspect.signature(classes()[name]).parameters.get("file")
    return file is not None and file.default is not None


@cache
def shared(name: str) -> Encoder:
    """The encoder on the CPU that the whole process shares; whoever needs a device moves a copy. Raises as ``load``."""
    return load(name)
