"""Resuming a run: one training in a folder, an unchanged config, and the same step in all processes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from filelock import FileLock, Timeout

from svc.config import Config, differences, from_tree, to_tree
from svc.data.manifest import Manifest
from svc.errors import ConfigError, TrainingError
from svc.training.checkpoint import Checkpoint


@contextlib.contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Lock the folder of a run, which is created if it is missing.

    Raises:
        TrainingError: another training has the lock, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise TrainingError(f"{folder}: another training runs there; wait for it or choose another -o") from None
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error.strerror}); choose another -o") from None
    try:
        yield
    finally:
        lock.release()


def check_config_unchanged(
    checkpoint: Checkpoint, prepared: Manifest, config: Config, allow_config_change: bool
) -> None:
    """Compare a run with the speakers, clips and config it started with.

    Raises:
        TrainingError: they differ; the message names the differences.
    """
    old, new = [row["name"] for row in checkpoint.meta["speakers"]], [speaker.name for speaker in prepared.speakers]
    if old != new:
        gone, added = (", ".join(name for name in one if name not in other) for one, other in ((old, new), (new, old)))
        parts = [f"without {gone}"] * bool(gone) + [f"with {added} besides"] * bool(added)
        raise TrainingError(f"{checkpoint.folder}: trained on other speakers; now they are "
                            f"{' and '.join(parts) or 'in another order'}; undo that or choose another -o")  # fmt: skip
    changed = differences(_with_new_defaults(checkpoint.meta["config"]), to_tree(config))
    if checkpoint.meta.get("data") != prepared.sha256:
        changed.append("the prepared clips")
    if changed and not allow_config_change:
        raise TrainingError(
            f"{checkpoint.folder}: the config changed ({'; '.join(changed)}); "
            "undo that, choose another -o, or resume with --allow-config-change"
        )


def _with_new_defaults(tree: dict[str, Any]) -> dict[str, Any]:
    """A stored config with the defaults of options that are newer."""
    try:
        return to_tree(from_tree(tree))
    except ConfigError:
        return tree


def check_ranks_agree(accelerator: Accelerator, step: int, run: Path) -> None:
    """Check that all processes resume from the same step.

    Raises:
        TrainingError: they do not see the same checkpoints.
    """
    steps: list[int] = accelerator.gather(torch.tensor([step], device=accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise TrainingError(f"{run}: machines see different checkpoints (steps {steps}); choose a shared folder")
