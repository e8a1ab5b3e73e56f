"""Logging of a run: trackers of Accelerate, ``losses.jsonl`` and ``validation.jsonl``, throughput."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.tracking import GeneralTracker, TensorBoardTracker, get_available_trackers
from torch import Tensor

from svc.config import Config, flatten, to_tree
from svc.errors import FULL_DISK, TrainingError, is_full
from svc.training.validation import ValidationOutput, plot_output
from svc.utils.atomic import write_bytes
from svc.utils.optional import MissingExtra

T = TypeVar("T")
LOSSES, SCORES = "losses.jsonl", "validation.jsonl"
SLOW_LOADING = 0.1  # share of the time spent in loading data that calls for more workers


def check_trackers(names: Sequence[str]) -> None:
    """Check that the libraries of the trackers are installed.

    Raises:
        MissingExtra: one is not.
    """
    missing = sorted(set(names) - set(map(str, get_available_trackers())))
    if missing:
        raise MissingExtra(
            f"train.trackers: {', '.join(missing)} not installed; run `pip install {' '.join(missing)}`, "
            "or remove them from the list"
        )


def make_trackers(names: Sequence[str], run: Path, step: int) -> list[str | GeneralTracker] | None:
    """``log_with`` of an Accelerator for a run that resumes after a step; None on all but the main process."""
    if not names or not PartialState().is_main_process:
        return None
    return [
        TensorBoardTracker("logs", run, purge_step=step + 1) if name == "tensorboard" else name
        for name in dict.fromkeys(names)
    ]


def mean_over_ranks(losses: dict[str, Tensor], accelerator: Accelerator) -> dict[str, float]:
    """Losses averaged over the processes; all of them must call it."""
    values = torch.stack([loss.detach().to(accelerator.device, torch.float32) for loss in losses.values()])
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values, "mean")
    return dict(zip(losses, values.tolist(), strict=True))


class RunLogger:
    """Writes losses, scores, audio and images of a run on the main process, to files and trackers."""

    def __init__(self, run: Path, config: Config, accelerator: Accelerator, step: int):
        """Start the trackers with all options as hyper-parameters, and drop logged steps that will be repeated."""
        self.run = run
        self.config = config
        self.accelerator = accelerator
        if accelerator.is_main_process:
            _truncate(run / LOSSES, step)
            _truncate(run / SCORES, step)
        options = flatten(to_tree(config))
        options = {name: str(value) if isinstance(value, list) else value for name, value in options.items()}
        accelerator.init_trackers(run.resolve().name, config=options)  # most trackers call this the project

    def losses(self, step: int, values: dict[str, float], times: dict[str, float]) -> None:
        """Log the losses of a step with all digits, null where not finite; times go to the trackers alone."""
        if not self.accelerator.is_main_process:
            return
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with self._disk_errors():
            _append(self.run / LOSSES, {"step": step, **finite})
            self.accelerator.log(_tagged("loss", values) | _tagged("time", times), step=step)

    def validation(self, step: int, outputs: list[ValidationOutput], scores: dict[str, float]) -> None:
        """Log the scores of the validation clips, and in TensorBoard their audio and spectrograms."""
        if not self.accelerator.is_main_process:
            return
        finite = {name: value for name, value in scores.items() if math.isfinite(value)}
        with self._disk_errors():
            _append(self.run / SCORES, {"step": step, **finite})
            self.accelerator.log(_tagged("valid", finite), step=step)
            for tracker in self.accelerator.trackers:
                if isinstance(tracker, TensorBoardTracker):
                    self._log_audio(tracker, step, outputs)

    def _log_audio(self, tracker: TensorBoardTracker, step: int, outputs: list[ValidationOutput]) -> None:
        writer, rate = tracker.tracker, self.config.sample_rate
        for number, output in enumerate(outputs):
            tag = f"{number}_{output.clip.speaker}"
            audios = {"original": output.clip.audio[0]} if step == 0 else {}
            audios |= {"reconstruction": output.reconstruction}
            audios |= {f"to_{name}": audio for name, audio in output.conversions.items()}
            for name, audio in audios.items():
                writer.add_audio(f"{tag}/{name}", audio.clamp(-1, 1), step, rate)
            writer.add_image(tag, plot_output(output, self.config), step, dataformats="HWC")
        writer.flush()

    def close(self) -> None:
        """Flush and close the trackers."""
        with self._disk_errors():
            for tracker in self.accelerator.trackers:
                tracker.finish()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn a full disk into one line; the run goes on from its last checkpoint.

        Raises:
            TrainingError: the disk is full.
        """
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            raise TrainingError(f"{self.run}: {FULL_DISK}") from None


def _tagged(group: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in values.items()}


def _append(path: Path, row: dict[str, float | None]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def _truncate(path: Path, step: int) -> None:
    """Drop the lines of later steps."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:
            break  # the last line of a killed process
    write_bytes(path, "".join(kept).encode())


class Throughput:
    """Seconds per step, and the share of the time spent in loading data; validation counts as work."""

    def __init__(self) -> None:
        self.steps, self.waited, self.start = 0, 0.0, perf_counter()
        self._last = self.steps, self.waited, self.start

    def wrap(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches, one a step; the clock starts with the first."""
        requested = self.start = perf_counter()
        self._last = self.steps, self.waited, self.start
        for batch in batches:
            self.waited += perf_counter() - requested
            self.steps += 1
            yield batch
            requested = perf_counter()

    def interval(self) -> dict[str, float]:
        """Since the last call: ``waiting``, the share (0–1) of the time spent in loading, and ``seconds_per_step``."""
        now = self.steps, self.waited, perf_counter()
        steps, waited, seconds = (after - before for after, before in zip(now, self._last, strict=True))
        self._last = now
        return {"waiting": waited / seconds, "seconds_per_step": seconds / steps}

    def advice(self) -> str:
        """Advice if loading took a large share of the time of the whole run, else nothing."""
        share = self.waited / (perf_counter() - self.start) if self.steps else 0.0
        waiting = f"{100 * share:.0f} % of the time was spent waiting for data; raise train.num_workers"
        return waiting if share > SLOW_LOADING else ""
