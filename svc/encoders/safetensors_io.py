"""Weights from a safetensors file, checked against the names, shapes and types of a network."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

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
