"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all, and an exact resume from them.

Written to a temporary folder beside their place, synced to the disk, renamed, and only then are old ones removed.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from svc.errors import TrainingError
from svc.models.generator import VERSION
from svc.training.state import TrainState

META = "meta.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    meta: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.meta["step"])


def write(run: Path, state: TrainState, extra: dict[str, Any], keep: int) -> Checkpoint:
    """Write a checkpoint of a state whose networks are not wrapped, then remove all but the newest and the best.

    Raises:
        TrainingError: the disk does not take it; older checkpoints are untouched.
    """
    root = run / "checkpoints"
    place = root / _name(state.step)
    temporary = root / f".tmp_{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        hashes = {name: _write_file(temporary / name, save(part)) for name, part in _parts(state).items()}
        meta = extra | {
            "step": state.step,
            "weights": VERSION,
            "best_score": state.best if math.isfinite(state.best) else None,
            "best_step": state.best_step,
            "left_out": state.left_out,
            "sha256": hashes,
        }
        _write_file(temporary / META, json.dumps(meta, indent=1, ensure_ascii=False).encode())
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
        _sync(root)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise TrainingError(
            f"{place}: cannot be written ({error.strerror}); free some space and run the same command again"
        ) from None
    _rotate(root, keep, state.best_step)
    return Checkpoint(place, meta)


def newest(run: Path) -> Checkpoint | None:
    """The newest complete checkpoint of a run; damaged ones are passed over."""
    for folder in sorted((run / "checkpoints").glob("step_*"), reverse=True):
        checkpoint = _verified(folder)
        if checkpoint is not None:
            return checkpoint
    return None


def at(run: Path, which: str) -> Checkpoint:
    """The ``last`` or the ``best`` checkpoint of a run.

    Raises:
        TrainingError: there is none.
    """
    last = newest(run)
    if last is None:
        raise TrainingError(f"{run}: no complete checkpoint there; train first or name another run")
    if which == "last":
        return last
    step = _best_step(last)
    best = None if step is None else _verified(run / "checkpoints" / _name(step))
    if best is None:
        raise TrainingError(f"{run}: no best checkpoint yet; export the last one")
    return best


def best_or_last(run: Path) -> Checkpoint:
    """The best checkpoint of a run, or the last where nothing was held out to judge by.

    Raises:
        TrainingError: there is none.
    """
    last = at(run, "last")
    return last if _best_step(last) is None else at(run, "best")


def restore(checkpoint: Checkpoint, state: TrainState) -> None:
    """Put a checkpoint into a state whose networks are not wrapped, to the bit.

    Raises:
        TrainingError: it belongs to a model of another shape.
    """
    stored = {name: load_file(checkpoint.folder / name) for name in _parts(state)}
    with _of_this_model(checkpoint):
        state.generator.load_state_dict(stored["generator.safetensors"])
        state.average.load_state_dict(stored["average.safetensors"])
        state.discriminator.load_state_dict(stored["discriminator.safetensors"])
    _restore_adam(state.generator_optimizer, state.generator, stored["generator_adam.safetensors"])
    _restore_adam(state.discriminator_optimizer, state.discriminator, stored["discriminator_adam.safetensors"])
    state.step = checkpoint.step
    best = checkpoint.meta.get("best_score")
    state.best = -math.inf if best is None else float(best)
    state.best_step = _best_step(checkpoint)
    state.left_out = int(checkpoint.meta.get("left_out", 0))


def _best_step(checkpoint: Checkpoint) -> int | None:
    return None if checkpoint.meta.get("best_score") is None else int(checkpoint.meta["best_step"])


def _name(step: int) -> str:
    return f"step_{step:08d}"


def graft(checkpoint: Checkpoint, state: TrainState) -> None:
    """Begin with the generator of a checkpoint and its step; parts that are new to it stay as they are.

    Raises:
        TrainingError: the generator has no place for what is stored.
    """
    stored = {name: load_file(checkpoint.folder / name) for name in _parts(state) if "discriminator" not in name}
    with _of_this_model(checkpoint):
        state.generator.load_state_dict(state.generator.state_dict() | stored["generator.safetensors"])
        state.average.load_state_dict(state.average.state_dict() | stored["average.safetensors"])
    _restore_adam(state.generator_optimizer, state.generator, stored["generator_adam.safetensors"])
    state.step = checkpoint.step


@contextmanager
def _of_this_model(checkpoint: Checkpoint) -> Iterator[None]:
    if checkpoint.meta.get("weights") != VERSION:
        raise TrainingError(f"{checkpoint.folder}: made by another version of svc; train anew, or use that one")
    try:
        yield
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise TrainingError(f"{checkpoint.folder}: of another model ({first}); choose another -o") from None


def average_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The averaged weights of the generator, which are what is exported.

    Raises:
        TrainingError: they are of another version.
    """
    with _of_this_model(checkpoint):
        return load_file(checkpoint.folder / "average.safetensors")


def _parts(state: TrainState) -> dict[str, dict[str, Tensor]]:
    return {
        "generator.safetensors": _contiguous(state.generator.state_dict()),
        "average.safetensors": _contiguous(state.average.state_dict()),
        "discriminator.safetensors": _contiguous(state.discriminator.state_dict()),
        "generator_adam.safetensors": _adam(state.generator_optimizer, state.generator),
        "discriminator_adam.safetensors": _adam(state.discriminator_optimizer, state.discriminator),
    }


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _adam(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    moments = {}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            moments[f"{name}/{key}"] = value
    return _contiguous(moments)


def _restore_adam(optimizer: torch.optim.Optimizer, network: nn.Module, stored: dict[str, Tensor]) -> None:
    named = dict(network.named_parameters())
    optimizer.state.clear()
    for entry, value in stored.items():
        name, _, key = entry.rpartition("/")
        parameter = named[name]
        place = "cpu" if key == "step" else parameter.device
        optimizer.state[parameter][key] = value.to(place)


def _verified(folder: Path) -> Checkpoint | None:
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        whole = all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            for name, digest in meta["sha256"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Checkpoint(folder, meta) if whole else None


def _write_file(path: Path, data: bytes) -> str:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return hashlib.sha256(data).hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rotate(root: Path, keep: int, best_step: int | None) -> None:
    kept = sorted(root.glob("step_*"))[-keep:]
    for folder in root.glob("step_*"):
        if folder not in kept and (best_step is None or folder.name != _name(best_step)):
            shutil.rmtree(folder, ignore_errors=True)
    for leftover in root.glob(".tmp_*"):
        shutil.rmtree(leftover, ignore_errors=True)
