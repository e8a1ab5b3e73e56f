"""Train the spectrogram autoencoder of ``svc style``: ``python recipes/train_autoencoder.py CLIPS … -o RUN``."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import save
from torch import Tensor, nn

from svc import cli
from svc.audio import files
from svc.audio.files import Samples
from svc.audio.find import find_audio
from svc.audio.resample import resample
from svc.config import parse_overrides
from svc.config.tree import from_overrides
from svc.encoders.autoencoder import Autoencoder, AutoencoderSize
from svc.encoders.spectrogram import magnitude
from svc.encoders.weights import half_precision
from svc.style.presets import make_config
from svc.style.transfer import log_spectrogram
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.training.resume import lock_run
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress

WEIGHTS = "autoencoder.safetensors"
RMS = 0.07  # -23 dB, about the level in svc style
EVERY = 10  # one clip in ten, and never one of its speaker, is held out
DB = 20 / np.log(10)


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderConfig(SupervisedConfig):
    """Options of the training.

    Attributes:
        size: of the network: recurrent, dilated_first, batch_norm, leaky_relu.
        log_loss: mean square of log(1 + |STFT|), else of the magnitudes.
        batch_size: segments.
        segment_frames: 10 ms each.
        seconds: of each clip that are used.
    """

    size: AutoencoderSize = field(default_factory=AutoencoderSize)
    steps: int = 600
    log_loss: bool = True
    batch_size: int = 8
    segment_frames: int = 64
    seconds: float = 6.0


class AutoencoderTrainer(SupervisedTrainer):
    """The training run of an autoencoder on log(1 + |STFT|) (1, 257, N) of clips."""

    config: AutoencoderConfig
    network: Autoencoder

    def __init__(self, folder: Path, clips: list[Tensor], held_out: list[Tensor], config: AutoencoderConfig) -> None:
        self.clips, self.held_out = clips, held_out
        digest = hashlib.sha256()
        for clip in clips:
            digest.update(clip[0, :, 0].numpy().tobytes())
        super().__init__(folder, config, digest.hexdigest())

    def make_network(self) -> nn.Module:
        """The network with random weights."""
        return Autoencoder(self.config.size)

    def losses(self, step: int) -> Tensors:
        """``reconstruction``: mean square error of a batch of random segments."""
        draw, size = np.random.default_rng([self.config.seed, step]), self.config.segment_frames
        chosen = [self.clips[index] for index in draw.integers(len(self.clips), size=self.config.batch_size)]
        starts = [int(draw.integers(clip.shape[-1] - size + 1)) for clip in chosen]
        batch = torch.cat([clip[..., start : start + size] for clip, start in zip(chosen, starts, strict=True)])
        output = self.network(batch).float()
        if not self.config.log_loss:
            output, batch = torch.expm1(output.clamp(max=8)), magnitude(batch)
        return {"reconstruction": (output - batch).square().mean()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Log-spectral distance in dB, and mean square error of log(1 + |STFT|), on speakers that are held out."""
        self.network.eval()
        distances, errors = [], []
        for clip in self.held_out:
            whole = clip[..., : clip.shape[-1] // 4 * 4]
            output = self.network(whole)
            errors.append(float((output - whole).square().mean()))
            levels = [torch.log(magnitude(spectrogram) + 1e-2) for spectrogram in (output, whole)]
            distances.append(DB * float((levels[0] - levels[1]).square().mean(dim=1).sqrt().mean()))
        self.network.train()
        return {"lsd_db": float(np.mean(distances)), "held_out": float(np.mean(errors))}

    def train(self, log_every: int = 20) -> None:
        """Train to the last step, and write the weights in half precision."""
        super().train(log_every)
        weights = half_precision(self.network)
        header = {"size": json.dumps(asdict(self.config.size)), "config": json.dumps(asdict(self.config))}
        write_bytes(self.folder / WEIGHTS, save(weights, header))


def read_clips(folders: list[Path], seconds: float) -> tuple[list[Tensor], list[Tensor]]:
    """Spectrograms of training and held-out clips; the folder of a clip is its speaker."""
    config = make_config("autoencoder", {})
    speakers: dict[Path, list[Path]] = {}
    for folder in folders:
        for path in find_audio(folder):
            speakers.setdefault(path.parent, []).append(path)
    held_out = sorted(speakers)[::EVERY] if len(speakers) > 1 else []
    sides: tuple[list[Tensor], list[Tensor]] = [], []
    paths = [(path, speaker in held_out) for speaker, several in speakers.items() for path in several]
    for path, is_held_out in progress(paths, "read", "clip", len(paths)):
        samples: Samples = resample(files.read(path).first(seconds), config.sample_rate).samples
        samples = samples * np.float32(RMS / max(1e-6, float(np.sqrt(np.mean(np.square(samples))))))
        if len(samples) > config.sample_rate:
            sides[is_held_out].append(log_spectrogram(samples, config))
    return sides


def main(
    folders: Annotated[list[Path], typer.Argument(help="clips of speech or song, in a folder for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the run; resumed if it exists")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
) -> None:
    """Train an autoencoder on recordings. The same command again resumes."""
    config = from_overrides(AutoencoderConfig, parse_overrides(overrides or []))
    with lock_run(out):
        run = AutoencoderTrainer(out, *read_clips(folders, config.seconds), config)
        run.restore()
        run.train()
    file = out / WEIGHTS
    typer.echo(f"{file}: {file.stat().st_size / 1e6:.2f} MB, {json.dumps(run.evaluate())}")
    typer.echo(f"next: svc style CONTENT STYLE -o OUT.wav --preset autoencoder --set weights={file}")


if __name__ == "__main__":
    cli.run(main)
