"""What must be as it was when a run goes on, and the same in all its processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from svc.config import Config, differences, from_tree, to_tree
from svc.data.manifest import Manifest
from svc.errors import ConfigError, TrainingError
from svc.training import checkpoint
from svc.utils import hardware


def settled(config: Config, found: checkpoint.Checkpoint | None, device: torch.device) -> Config:
    """With ``train.precision`` settled: what ``auto`` came to where a run began holds on any machine, fast or not."""
    half = hardware.use_bf16(config.train.precision, device)
    if found is not None and config.train.precision == "auto":
        half = bool(found.meta.get("bf16", half))  # older runs do not say
    return replace(config, train=replace(config.train, precision="bf16" if half else "no"))


def check_same(found: checkpoint.Checkpoint, prepared: Manifest, config: Config, accept_changes: bool) -> None:
    """A run was begun with these singers, clips and knobs.

    Raises:
        TrainingError: it was not, and what changed.
    """
    names = [singer["name"] for singer in found.meta["singers"]]
    if names != [singer.name for singer in prepared.speakers]:
        raise TrainingError(f"{found.folder}: trained on other singers; choose another -o")
    changed = differences(_as_now(found.meta["config"]), to_tree(config))
    if found.meta.get("data") != prepared.sha256:
        changed.append("the prepared clips")
    if changed and not accept_changes:
        raise TrainingError(
            f"{found.folder}: the config changed ({'; '.join(changed)}); "
            "undo that, choose another -o, or go on with --accept-changes"
        )


def _as_now(tree: dict[str, Any]) -> dict[str, Any]:
    """A stored config with the defaults of knobs that it did not know."""
    try:
        return to_tree(from_tree(tree))
    except ConfigError:
        return tree


def check_together(accelerator: Accelerator, step: int, run: Path) -> None:
    """All processes go on after the same step.

    Raises:
        TrainingError: they do not, because they do not see the same checkpoints.
    """
    steps: list[int] = accelerator.gather(torch.tensor([step], device=accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise TrainingError(f"{run}: not seen alike by every machine (steps {steps}); choose a folder that all share")
