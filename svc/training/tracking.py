"""What a person follows: TensorBoard through Accelerate; ``losses.jsonl`` and ``validation.jsonl`` for programs."""

import json
import math
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from svc.atomic import write_bytes
from svc.config import Config
from svc.training.validate import Rendition, picture

LOSSES, SCORES = "losses.jsonl", "validation.jsonl"


class Tracker:
    """Writes on the main process only."""

    def __init__(self, run: Path, config: Config, accelerator: Accelerator, step: int):
        self.run = run
        self.config = config
        self.accelerator = accelerator
        self.board: Any = None
        if accelerator.is_main_process:
            _truncate(run / LOSSES, step)
            _truncate(run / SCORES, step)
            accelerator.init_trackers("logs", init_kwargs={"tensorboard": {"purge_step": step + 1}})
            self.board = accelerator.get_tracker("tensorboard", unwrap=True)

    def losses(self, step: int, values: dict[str, float]) -> None:
        """Named values of a step, exactly as computed; null is what is not finite."""
        if self.board is None:
            return
        with (self.run / LOSSES).open("a", encoding="utf-8") as stream:
            told = {name: value if math.isfinite(value) else None for name, value in values.items()}
            stream.write(json.dumps({"step": step} | told) + "\n")
        for name, value in values.items():
            self.board.add_scalar(f"loss/{name}", value, step)

    def renditions(self, step: int, renditions: list[Rendition], scores: dict[str, float]) -> None:
        """Phrases to hear and to see, and what was said of them."""
        if self.board is None:
            return
        told = {name: value for name, value in scores.items() if math.isfinite(value)}
        with (self.run / SCORES).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step} | told) + "\n")
        for name, value in told.items():
            self.board.add_scalar(f"valid/{name}", value, step)
        rate = self.config.sample_rate
        for number, rendition in enumerate(renditions):
            tag = f"{number}_{rendition.phrase.singer}"
            sounds = {"truth": rendition.phrase.audio[0]} if step == 0 else {}
            sounds |= {"sung": rendition.reconstruction}
            sounds |= {f"as_{name}": audio for name, audio in rendition.conversions.items()}
            for name, audio in sounds.items():
                self.board.add_audio(f"{tag}/{name}", audio.clamp(-1, 1), step, rate)
            self.board.add_image(tag, picture(rendition, self.config), step, dataformats="HWC")
        self.board.flush()

    def close(self) -> None:
        """Flush and close."""
        if self.board is not None:
            self.board.close()


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
