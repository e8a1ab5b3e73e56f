"""Weights from a safetensors file, checked against the names, shapes and types of a network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from svc.errors import WeightsError


def load_checked(path: Path, network: Mapping[str, Tensor], hint: str) -> dict[str, Tensor]:
    """Tensors by name, of the names, shapes and types that a network has.

    Args:
        path: the file.
        network: its own tensors by name; their values do not matter, so that it may be on the meta device.
        hint: the end of every error: what to do about the file.

    Raises:
        WeightsError: the file is damaged, of another network, or holds values that are not numbers.
    """
    expected = {name: tuple(value.shape) for name, value in network.items()}
    try:
        with safe_open(path, framework="pt") as stored:
            shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
            wrong = sorted(name for name, _ in shapes.items() ^ expected.items())
            if wrong:
                raise WeightsError(f"{path}: {wrong[0]} is missing, unknown or of the wrong shape; {hint}")
            tensors = {name: stored.get_tensor(name) for name in expected}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged ({error}); {hint}") from None
    for name, value in tensors.items():
        if value.dtype != network[name].dtype or not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{path}: {name} holds values that are not numbers or of the wrong type; {hint}")
    return tensors


def half_precision(network: nn.Module) -> dict[str, Tensor]:
    """Tensors of a network by name as our own files hold them: floating-point numbers in half precision."""
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }


def load_half_precision(network: nn.Module, path: Path, hint: str) -> None:
    """Load what ``half_precision`` gave from a file. Raises as ``load_checked``."""
    network.load_state_dict(load_checked(path, half_precision(network), hint))


def read_header(path: Path, key: str, recipe: str) -> Any:
    """A value of the file's header, which is JSON.

    Raises:
        WeightsError: the file is not there or damaged, or its header has no such key; the recipe makes another.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            return json.loads((stored.metadata() or {})[key])
    except (SafetensorError, OSError, KeyError, ValueError):
        reason = "damaged or another network" if path.is_file() else "not there"
        raise WeightsError(f"{path}: {reason}; train it with recipes/{recipe}.py") from None
