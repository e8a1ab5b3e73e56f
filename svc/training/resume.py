"""Stop and resume: a lock of the folder, an unchanged config, signals, and the same step in all processes."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from filelock import FileLock, Timeout

from svc.config import Config, differences, from_tree, to_tree
from svc.data.manifest import Manifest
from svc.errors import ConfigError, TrainingError
from svc.training.checkpoint import Checkpoint

STOPPING = b"\nstops after this step and saves; press Ctrl-C again to stop at once, without saving\n"


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
        others = ", ".join(sorted(set(old) ^ set(new))[:5]) or "in another order"
        raise TrainingError(
            f"{checkpoint.folder}: trained on other speakers ({others}); undo that or choose another -o"
        )
    stored = checkpoint.meta["config"]
    with contextlib.suppress(ConfigError):
        stored = to_tree(from_tree(stored))  # with the defaults of options that are newer
    changed = differences(stored, to_tree(config))
    if checkpoint.meta.get("data") != prepared.sha256:
        changed.append("the prepared clips")
    if changed and not allow_config_change:
        raise TrainingError(
            f"{checkpoint.folder}: the config changed ({'; '.join(changed)}); "
            "undo that, choose another -o, or resume with --allow-config-change"
        )


def check_ranks_agree(accelerator: Accelerator, step: int, run: Path) -> None:
    """Check that all processes resume from the same step.

    Raises:
        TrainingError: they do not see the same checkpoints.
    """
    steps: list[int] = accelerator.gather(torch.tensor([step], device=accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise TrainingError(f"{run}: machines see different checkpoints (steps {steps}); choose a shared folder")


@contextlib.contextmanager
def stop_on_signal(announce: bool = False) -> Iterator[threading.Event]:
    """Event that Ctrl-C or SIGTERM sets, so that a run stops between two steps; a second Ctrl-C stops it at once."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if announce and not stop.is_set():
            os.write(2, STOPPING)  # unlike print, allowed wherever the signal comes in
        stop.set()

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def any_rank(accelerator: Accelerator, stop: bool) -> bool:
    """True if any process got a signal; all must stop after the same step."""
    if accelerator.num_processes == 1:
        return stop
    return bool(accelerator.reduce(torch.tensor(float(stop), device=accelerator.device)) > 0)
