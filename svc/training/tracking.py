"""What a person follows, in the trackers of Accelerate; ``losses.jsonl`` and ``validation.jsonl`` are for programs."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.tracking import GeneralTracker, TensorBoardTracker, get_available_trackers
from torch import Tensor

from svc.config import Config
from svc.training.validation import Rendition, picture
from svc.utils.atomic import write_bytes
from svc.utils.optional import MissingExtra

LOSSES, SCORES = "losses.jsonl", "validation.jsonl"


def chosen(names: Sequence[str], run: Path, step: int) -> list[str | GeneralTracker] | None:
    """The trackers of a run that goes on after a step, as Accelerate's ``log_with`` takes them; nothing starts yet.

    There are none but on the main process.

    Raises:
        MissingExtra: the library of one is not installed.
    """
    if not names or not PartialState().is_main_process:
        return None
    missing = sorted(set(names) - set(map(str, get_available_trackers())))
    if missing:
        raise MissingExtra(
            f"train.trackers: {', '.join(missing)} not installed; run `pip install {' '.join(missing)}`, "
            "or take off the list what is not there"
        )
    return [
        TensorBoardTracker("logs", run, purge_step=step + 1) if name == "tensorboard" else name
        for name in dict.fromkeys(names)
    ]


def everywhere(terms: dict[str, Tensor], accelerator: Accelerator) -> dict[str, float]:
    """Terms averaged over the processes, which all must ask."""
    values = torch.stack([term.detach().to(accelerator.device, torch.float32) for term in terms.values()])
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values, "mean")
    return dict(zip(terms, values.tolist(), strict=True))


class Tracker:
    """Tells the trackers of the accelerator, of which the main process alone has any, and writes there only."""

    def __init__(self, run: Path, config: Config, accelerator: Accelerator, step: int):
        self.run = run
        self.config = config
        self.accelerator = accelerator
        if accelerator.is_main_process:
            _truncate(run / LOSSES, step)
            _truncate(run / SCORES, step)
        accelerator.init_trackers(run.resolve().name)  # to most of them the run is a project

    def losses(self, step: int, values: dict[str, float], times: dict[str, float]) -> None:
        """Named values of a step, exactly as computed; null is what is not finite. Times are for the trackers alone."""
        if not self.accelerator.is_main_process:
            return
        with (self.run / LOSSES).open("a", encoding="utf-8") as stream:
            told = {name: value if math.isfinite(value) else None for name, value in values.items()}
            stream.write(json.dumps({"step": step} | told) + "\n")
        self.accelerator.log(_tagged("loss", values) | _tagged("time", times), step=step)

    def renditions(self, step: int, renditions: list[Rendition], scores: dict[str, float]) -> None:
        """Phrases to hear and to see, and what was said of them."""
        if not self.accelerator.is_main_process:
            return
        told = {name: value for name, value in scores.items() if math.isfinite(value)}
        with (self.run / SCORES).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step} | told) + "\n")
        self.accelerator.log(_tagged("valid", told), step=step)
        for tracker in self.accelerator.trackers:
            if isinstance(tracker, TensorBoardTracker):
                self._show(tracker, step, renditions)

    def _show(self, tracker: TensorBoardTracker, step: int, renditions: list[Rendition]) -> None:
        board, rate = tracker.tracker, self.config.sample_rate
        for number, rendition in enumerate(renditions):
            tag = f"{number}_{rendition.phrase.singer}"
            sounds = {"truth": rendition.phrase.audio[0]} if step == 0 else {}
            sounds |= {"sung": rendition.reconstruction}
            sounds |= {f"as_{name}": audio for name, audio in rendition.conversions.items()}
            for name, audio in sounds.items():
                board.add_audio(f"{tag}/{name}", audio.clamp(-1, 1), step, rate)
            board.add_image(tag, picture(rendition, self.config), step, dataformats="HWC")
        board.flush()

    def close(self) -> None:
        """Flush and close."""
        for tracker in self.accelerator.trackers:
            tracker.finish()


def _tagged(kind: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{kind}/{name}": value for name, value in values.items()}


def _truncate(path: Path, step: int) -> None:
    """Drop the lines of steps that will be taken again."""
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
