"""Train the network of the deep feature loss (DFL, 1806.10522): ``python recipes/train_dfl.py CLIPS … -o RUN``.

Two tasks on 2 s of audio: who the speaker is, and what was done to the recording.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import noise
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from svc import cli
from svc.audio import files
from svc.audio.files import Samples
from svc.audio.find import find_audio
from svc.audio.resample import resample
from svc.config import parse_overrides
from svc.config.tree import from_overrides
from svc.encoders import weights
from svc.encoders.dfl import LOSS_LAYERS, RECEPTIVE_FIELD, DFLNetwork
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.training.resume import lock_run
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress

RATE, LENGTH = 16_000, RECEPTIVE_FIELD + 1
CONDITIONS = (*noise.KINDS, "clipping", "low-pass")
FILE = "dfl.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class DFLConfig(SupervisedConfig):
    """Options of the training.

    Attributes:
        batch_size: segments of 2 s; held_out_batches are evaluated.
        clips: of a speaker, at most; seconds of each, at most. Its last 2 s are held out.
        probability: of each condition.
    """

    steps: int = 600
    batch_size: int = 12
    held_out_batches: int = 20
    clips: int = 12
    seconds: float = 12.0
    probability: float = 0.2


class DFLTrainer(SupervisedTrainer):
    """Both tasks on every batch; speakers are balanced."""

    config: DFLConfig

    def __init__(self, folder: Path, speakers: list[list[Samples]], config: DFLConfig) -> None:
        self.speakers, self.clips = speakers, [clip for clips in speakers for clip in clips]
        digest = hashlib.sha256(b"".join(clip[:100].tobytes() for clip in self.clips)).hexdigest()
        super().__init__(folder, config, digest)

    def make_network(self) -> nn.Module:
        """The convolutions, and a head for each task."""
        heads = {"speaker": nn.Linear(128, len(self.speakers)), "conditions": nn.Linear(128, len(CONDITIONS))}
        return nn.ModuleDict({"body": DFLNetwork(), **heads})

    def batch(self, draw: np.random.Generator, size: int, held_out: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Audio (B, 2¹⁵), speakers (B,) and conditions (B, 6)."""
        speakers = draw.integers(len(self.speakers), size=size)
        conditions = draw.random((size, len(CONDITIONS))) < self.config.probability
        segments = []
        for speaker, present in zip(speakers, conditions, strict=True):
            clip = self.speakers[speaker][draw.integers(len(self.speakers[speaker]))]
            last = len(clip) - LENGTH
            start = last if held_out else int(draw.integers(max(1, last - LENGTH + 1)))
            segments.append(degrade(clip[start : start + LENGTH], present, draw, self.clips))
        return torch.from_numpy(np.stack(segments)), torch.from_numpy(speakers), torch.from_numpy(conditions).float()

    def logits(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Of the speakers and of the conditions, from the mean of the last layer over time."""
        parts = self.network
        pooled = parts.get_submodule("body")(audio)[-1].mean(dim=-1)
        return parts.get_submodule("speaker")(pooled), parts.get_submodule("conditions")(pooled)

    def losses(self, step: int) -> Tensors:
        """Cross-entropy of the ``speaker``, and binary cross-entropy of the ``conditions``."""
        audio, speaker, conditions = self.batch(np.random.default_rng([self.config.seed, step]), self.config.batch_size)
        speakers, present = self.logits(audio)
        tags = functional.binary_cross_entropy_with_logits(present, conditions)
        return {"speaker": functional.cross_entropy(speakers, speaker), "conditions": len(CONDITIONS) * tags}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Accuracy of the speaker, and of the conditions (mean of both classes), on segments that are held out."""
        self.network.eval()
        draw, size = np.random.default_rng(self.config.seed + 1), self.config.batch_size
        threshold = float(np.log(self.config.probability / (1 - self.config.probability)))  # most are absent
        hits, tags, wanted = [], [], []
        for _ in range(self.config.held_out_batches):
            audio, speaker, conditions = self.batch(draw, size, held_out=True)
            speakers, present = self.logits(audio)
            hits.append(speakers.argmax(dim=1) == speaker)
            tags.append((present > threshold) == (conditions > 0))
            wanted.append(conditions > 0)
        self.network.train()
        right, positive = torch.cat(tags), torch.cat(wanted)
        rates = [right[positive == value].float().mean() for value in (True, False)]
        speakers_right = torch.cat(hits).float().mean()
        return {"speaker_accuracy": float(speakers_right), "conditions_accuracy": float(torch.stack(rates).mean())}

    def save(self) -> None:
        """Checkpoint, and the layers of the loss in half precision."""
        super().save()
        body = DFLNetwork(LOSS_LAYERS)
        body.load_state_dict(self.network.get_submodule("body").state_dict(), strict=False)
        header = {"config": json.dumps(asdict(self.config)), "step": json.dumps(self.step)}
        write_bytes(self.folder / FILE, save(weights.half_precision(body), header))


def degrade(clip: Samples, present: NDArray[np.bool_], draw: np.random.Generator, clips: list[Samples]) -> Samples:
    """A segment (T,) in some of the conditions, at −30 to −14 dB."""
    for kind, wanted in zip(CONDITIONS, present, strict=True):
        if wanted and kind in noise.KINDS:
            clip = noise.mix(clip, noise.make_noise(kind, len(clip), RATE, draw, clips), draw.uniform(0, 15))
        elif wanted and kind == "clipping":
            peak = np.quantile(np.abs(clip), draw.uniform(0.8, 0.97))
            clip = np.clip(clip, -peak, peak)
        elif wanted:
            spectrum = np.fft.rfft(clip)
            spectrum[round(len(spectrum) * draw.uniform(0.2, 0.6)) :] = 0
            clip = np.fft.irfft(spectrum, n=len(clip)).astype(np.float32)
    level = np.sqrt(np.mean(np.square(clip))) + 1e-5
    return (clip * (10 ** (draw.uniform(-30, -14) / 20) / level)).astype(np.float32)


def read_speakers(folders: list[Path], config: DFLConfig) -> list[list[Samples]]:
    """Clips at 16 kHz of each speaker, whose folder they are in; those of 4.1 s or more, or joined to that length."""
    groups: dict[Path, list[Path]] = {}
    for path in (path for folder in folders for path in find_audio(folder)):
        groups.setdefault(path.parent, []).append(path)
    speakers = []
    for paths in progress(list(groups.values()), "read", "speaker", len(groups)):
        clips = [resample(files.read(path).first(config.seconds), RATE).samples for path in paths[: config.clips]]
        joined = np.concatenate(clips)
        long = [clip for clip in clips if len(clip) >= 2 * LENGTH] or ([joined] if len(joined) >= 2 * LENGTH else [])
        if long:
            speakers.append(long)
    return speakers


def main(
    folders: Annotated[list[Path], typer.Argument(help="clips of speech or song, in a folder for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the run; resumed if it exists")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
) -> None:
    """Train the classifier of speakers and conditions. The same command again resumes."""
    config = from_overrides(DFLConfig, parse_overrides(overrides or []))
    with lock_run(out):
        run = DFLTrainer(out, read_speakers(folders, config), config)
        run.restore()
        run.train()
    size = (out / FILE).stat().st_size / 1e6
    typer.echo(f"{out / FILE}: {size:.2f} MB, {len(run.speakers)} speakers, {json.dumps(run.evaluate())}")


if __name__ == "__main__":
    cli.run(main)
