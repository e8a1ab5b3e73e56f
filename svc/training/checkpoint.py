"""Checkpoints: safetensors and JSON in a folder that is written atomically, and exact resume from them.

A checkpoint is written to a temporary folder, synced to the disk and renamed; then old ones are removed.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from svc.errors import TrainingError
from svc.models.weight_names import VERSION
from svc.training.state import TrainState
from svc.utils.atomic import write_bytes

META = "meta.json"
GENERATOR, EMA_GENERATOR = "generator.safetensors", "ema_generator.safetensors"
DISCRIMINATOR = "discriminator.safetensors"
GENERATOR_ADAM, DISCRIMINATOR_ADAM = "generator_adam.safetensors", "discriminator_adam.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint on the disk."""

    folder: Path
    meta: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.meta["step"])

    @property
    def best_step(self) -> int | None:
        """Step of the best validation score so far, if there is one."""
        return None if self.meta.get("best_score") is None else int(self.meta["best_step"])

    def load(self, name: str) -> dict[str, Tensor]:
        """Tensors of one of its files by their current names.

        Raises:
            TrainingError: the weights are of a version that cannot be read.
        """
        if self.meta.get("weights") != VERSION:
            raise TrainingError(f"{self.folder}: made by another version of svc; train again, or use that version")
        return load_file(self.folder / name)


def write(run: Path, state: TrainState, extra: dict[str, Any], keep: int) -> Checkpoint:
    """Write a checkpoint, then remove all but the newest ``keep`` and the best.

    Raises:
        TrainingError: the disk cannot be written; older checkpoints are untouched.
    """
    root = run / "checkpoints"
    folder = root / _name(state.step)
    temporary = root / f".tmp_{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        hashes = {}
        for name, tensors in _tensors(state).items():
            data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
            write_bytes(temporary / name, data, sync=True)
            hashes[name] = hashlib.sha256(data).hexdigest()
        meta = extra | {
            "step": state.step,
            "weights": VERSION,
            "best_score": state.best_score if math.isfinite(state.best_score) else None,
            "best_step": state.best_step,
            "num_skipped_updates": state.num_skipped_updates,
            "sha256": hashes,
        }
        write_bytes(temporary / META, json.dumps(meta, indent=1, ensure_ascii=False).encode(), sync=True)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        _sync(root)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        size = sum(value.nbytes for tensors in _tensors(state).values() for value in tensors.values())
        missing = size - shutil.disk_usage(run).free
        space = f"{missing / 1e6:.0f} MB" if missing > 0 else "some space"
        raise TrainingError(
            f"{folder}: cannot be written ({error.strerror}); free {space} and run the same command again"
        ) from None
    _rotate(root, keep, state)
    return Checkpoint(folder, meta)


def newest(run: Path) -> Checkpoint | None:
    """The newest complete checkpoint of a run; damaged ones are skipped."""
    folders = sorted((run / "checkpoints").glob("step_*"), reverse=True)
    return next((checkpoint for checkpoint in map(_verified, folders) if checkpoint), None)


def load_named(run: Path, which: str) -> Checkpoint:
    """The ``last`` or the ``best`` checkpoint of a run.

    Raises:
        TrainingError: there is none.
    """
    last = newest(run)
    if last is None:
        raise TrainingError(f"{run}: no complete checkpoint there; train first or name another run")
    chosen: Checkpoint | None = last
    if which == "best":
        chosen = None if last.best_step is None else _verified(run / "checkpoints" / _name(last.best_step))
    if chosen is None:
        raise TrainingError(f"{run}: no best checkpoint yet; export the last one")
    return chosen


def best_or_last(run: Path) -> Checkpoint:
    """The best checkpoint of a run, or the last one where no clips were held out for validation.

    Raises:
        TrainingError: there is none.
    """
    last = load_named(run, "last")
    return last if last.best_step is None else load_named(run, "best")


def restore(checkpoint: Checkpoint, state: TrainState) -> None:
    """Load a checkpoint into a state whose networks are not wrapped; it is then equal to the bit.

    Raises:
        TrainingError: it is of a model of another shape.
    """
    with _shape_errors(checkpoint):
        for name, network in _networks(state).items():
            network.load_state_dict(checkpoint.load(name))
    _restore_adam(state.generator_optimizer, state.generator, checkpoint.load(GENERATOR_ADAM))
    _restore_adam(state.discriminator_optimizer, state.discriminator, checkpoint.load(DISCRIMINATOR_ADAM))
    state.step = checkpoint.step
    best = checkpoint.meta.get("best_score")
    state.best_score = -math.inf if best is None else float(best)
    state.best_step = checkpoint.best_step
    state.num_skipped_updates = int(checkpoint.meta.get("num_skipped_updates", 0))


def load_partial(checkpoint: Checkpoint, state: TrainState) -> None:
    """Load the generator of a checkpoint and its step; parameters that it does not hold keep their values.

    Raises:
        TrainingError: it holds parameters that the generator does not have.
    """
    with _shape_errors(checkpoint):
        state.generator.load_state_dict(state.generator.state_dict() | checkpoint.load(GENERATOR))
        state.ema_generator.load_state_dict(state.ema_generator.state_dict() | checkpoint.load(EMA_GENERATOR))
    _restore_adam(state.generator_optimizer, state.generator, checkpoint.load(GENERATOR_ADAM))
    state.step = checkpoint.step


def ema_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """EMA weights of the generator, which are exported as a voice."""
    return checkpoint.load(EMA_GENERATOR)


def _name(step: int) -> str:
    return f"step_{step:08d}"


@contextmanager
def _shape_errors(checkpoint: Checkpoint) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("Error(s) in loading state_dict"):
            raise
        first = str(error).splitlines()[1].strip()
        raise TrainingError(f"{checkpoint.folder}: of another model ({first}); choose another -o") from None


def _networks(state: TrainState) -> dict[str, nn.Module]:
    return {GENERATOR: state.generator, EMA_GENERATOR: state.ema_generator, DISCRIMINATOR: state.discriminator}


def _tensors(state: TrainState) -> dict[str, Mapping[str, Tensor]]:
    return {
        **{name: network.state_dict() for name, network in _networks(state).items()},
        GENERATOR_ADAM: _adam_moments(state.generator_optimizer, state.generator),
        DISCRIMINATOR_ADAM: _adam_moments(state.discriminator_optimizer, state.discriminator),
    }


def _adam_moments(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": value
        for name, parameter in network.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _restore_adam(optimizer: torch.optim.Optimizer, network: nn.Module, stored: dict[str, Tensor]) -> None:
    named = dict(network.named_parameters())
    step_on_device = bool(optimizer.defaults.get("fused"))
    optimizer.state.clear()
    for entry, value in stored.items():
        name, _, key = entry.rpartition("/")
        parameter = named[name]
        device = torch.device("cpu") if key == "step" and not step_on_device else parameter.device
        optimizer.state[parameter][key] = value.to(device)


def _verified(folder: Path) -> Checkpoint | None:
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in meta["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Checkpoint(folder, meta) if hashes == meta["sha256"] else None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rotate(root: Path, keep: int, state: TrainState) -> None:
    """Remove old checkpoints, and those of later steps than the one just written: they are damaged."""
    written = [folder.name for folder in sorted(root.glob("step_*")) if folder.name <= _name(state.step)]
    kept = set(written[-keep:])
    if state.best_step is not None:
        kept.add(_name(state.best_step))
    for folder in [*root.glob("step_*"), *root.glob(".tmp_*")]:
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
