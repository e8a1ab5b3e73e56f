"""Losses of a speech denoiser at equal steps: ``python recipes/compare_denoising_losses.py CLIPS … -o RUN``.

L2 and L1 of the waveform, L1 of the cochleagram (2011.10706), and deep feature losses with trained and with random
weights (DFL, 1806.10522). The denoiser masks an STFT: the published one, on the waveform, takes 25 times the computing.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import noise
import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from svc import cli, encoders
from svc.audio import files
from svc.audio.files import Audio, Samples
from svc.audio.find import find_audio
from svc.audio.resample import resample
from svc.audio.stft import mel_filters, power_spectrogram
from svc.config import PerceptualLossConfig, parse_overrides
from svc.config.tree import from_overrides
from svc.evaluation.metrics.mos import Predictor, load_mos_predictor
from svc.losses.perceptual import PerceptualLoss
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.utils.progress import progress

RATE, FFT, HOP = 16_000, 512, 128
HELD_OUT = 10  # one speaker in so many
DFL = PerceptualLossConfig(encoder="dfl", layers=tuple(f"layer{number}" for number in range(1, 7)))
COCHLEAGRAM = PerceptualLossConfig(encoder="cochleagram", layers=("envelope",))
FEATURES = {"cochleagram": (COCHLEAGRAM, False), "dfl": (DFL, False), "dfl_random": (DFL, True)}
LOSSES = ("l2", "l1", *FEATURES)


@dataclass(frozen=True, kw_only=True, slots=True)
class DenoiserConfig(SupervisedConfig):
    """Options of the training; deep feature losses are balanced after a tenth of the steps."""

    loss: str = "l1"
    steps: int = 300
    batch_size: int = 6
    segment: int = RATE
    channels: int = 96


class Denoiser(nn.Module):
    """Mask on the STFT: convolutions over time, dilated by 1, 2 and 4 frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.exit = nn.Conv1d(FFT // 2 + 1, channels, 3, padding=1), nn.Conv1d(channels, FFT // 2 + 1, 1)
        self.blocks = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=d, dilation=d) for d in (1, 2, 4))

    def forward(self, audio: Tensor) -> Tensor:
        """Noisy audio (B, T) at unit power to clean audio (B, T)."""
        window = torch.hann_window(FFT)
        spectrum = torch.stft(audio, FFT, HOP, window=window, return_complex=True)
        hidden = functional.leaky_relu(self.enter(torch.log1p(spectrum.abs())), 0.2)
        for block in self.blocks:
            hidden = hidden + functional.leaky_relu(block(hidden), 0.2)
        masked = spectrum * torch.sigmoid(self.exit(hidden) + 2)
        return torch.istft(masked, FFT, HOP, window=window, length=audio.shape[-1])


class DenoiserTrainer(SupervisedTrainer):
    """Noisy and clean segments under one loss; all losses see the same batches."""

    config: DenoiserConfig

    def __init__(self, folder: Path, clips: list[Samples], config: DenoiserConfig) -> None:
        self.clips, self.features = clips, None
        if config.loss in FEATURES:
            options, random = FEATURES[config.loss]
            self.features = PerceptualLoss(encoders.load(options.encoder, random_weights=random), options, RATE)
            self.features.balance.first_calls = config.steps // 10
        super().__init__(folder, config, str(len(clips)))

    def make_network(self) -> nn.Module:
        """The denoiser with random weights."""
        return Denoiser(self.config.channels)

    def losses(self, step: int) -> Tensors:
        """The one loss."""
        draw = np.random.default_rng([self.config.seed, step])
        pairs = [make_pair(self.clips, int(index), self.config.segment, draw, self.clips)
                 for index in draw.integers(len(self.clips), size=self.config.batch_size)]  # fmt: skip
        noisy, clean = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
        return {self.config.loss: self.distance(self.network(noisy), clean)}

    def distance(self, fake: Tensor, real: Tensor) -> Tensor:
        """The loss between audio (B, T)."""
        if self.features is None:
            power = 2 if self.config.loss == "l2" else 1
            return (fake - real).abs().pow(power).mean() / real.abs().pow(power).mean()
        target = self.features.features(real)
        return self.features.balance(self.features.distances(self.features.features(fake), target, tuple(target)))

    def extra_state(self) -> Tensors:
        """The layer weights."""
        state = self.features.balance.state() if self.features else {}
        return {name: torch.tensor(value) for name, value in state.items()}

    def load_extra_state(self, state: Tensors) -> None:
        """Take what ``extra_state`` gave."""
        if self.features:
            self.features.balance.load_state({name: value.tolist() for name, value in state.items()})


def make_pair(
    clips: list[Samples], index: int, length: int, draw: np.random.Generator, voices: list[Samples]
) -> tuple[Samples, Samples]:
    """Noisy and clean segment (T,) at 0 to 10 dB, scaled so that the clean one has unit power."""
    start = int(draw.integers(len(clips[index]) - length + 1))
    clean = clips[index][start : start + length]
    clean = clean / np.float32(np.sqrt(np.mean(np.square(clean))) + 1e-4)
    added = noise.make_noise(draw.choice(noise.KINDS), length, RATE, draw, voices)
    return noise.mix(clean, added, draw.uniform(0, 10)), clean


def measure(outputs: list[Samples], cleans: list[Samples], mos: Predictor | None) -> dict[str, float]:
    """SI-SDR in dB, log-mel distance in dB, and a predicted MOS: means over clips."""
    bank = torch.from_numpy(mel_filters(RATE, FFT, 64, 60.0, 7600.0)).float().T
    rows = []
    for output, clean in zip(outputs, cleans, strict=True):
        target = clean * (np.dot(output, clean) / np.dot(clean, clean))
        powers = [power_spectrogram(torch.from_numpy(audio)[None], FFT, HOP) @ bank for audio in (output, clean)]
        levels = [10 * torch.log10(power + 1e-5) for power in powers]
        row = {"si_sdr_db": 10 * np.log10(np.sum(target**2) / (np.sum((output - target) ** 2) + 1e-9)),
               "log_mel_db": (levels[0] - levels[1]).square().mean(dim=-1).sqrt().mean()}  # fmt: skip
        rows.append(row | (mos(Audio(0.1 * output, RATE)) if mos else {}))
    return {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}


def read_clips(folders: list[Path], seconds: float) -> tuple[list[Samples], list[Samples]]:
    """Clips of 3 s or more at 16 kHz, for training and of the speakers that are held out; a folder is a speaker."""
    paths = [path for folder in folders for path in find_audio(folder)]
    held_out = set(sorted({path.parent for path in paths})[::HELD_OUT])
    sides: tuple[list[Samples], list[Samples]] = [], []
    for path in progress(paths, "read", "clip", len(paths)):
        samples = resample(files.read(path).first(seconds), RATE).samples
        if len(samples) >= 3 * RATE:
            sides[path.parent in held_out].append(samples)
    return sides


def main(
    folders: Annotated[list[Path], typer.Argument(help="clean speech, in a folder for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the runs; each is resumed if it exists")],
    losses: Annotated[list[str] | None, typer.Option("-l", "--loss", help=", ".join(LOSSES))] = None,
    pairs: Annotated[int, typer.Option(help="of noisy and clean segments of 3 s that are measured")] = 24,
    mos: Annotated[str | None, typer.Option(help="also predict the MOS: distillmos or dnsmos")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
) -> None:
    """Train a denoiser with each loss, and print measures on speakers that are held out."""
    clips, held_out = read_clips(folders, 6.0)
    predictor = load_mos_predictor(mos) if mos else None
    draw = np.random.default_rng(12345)
    tests = [make_pair(held_out, n % len(held_out), 3 * RATE, draw, clips) for n in range(pairs)]
    noisy, clean = ([pair[side] for pair in tests] for side in (0, 1))
    typer.echo(json.dumps({"loss": "noisy", **measure(noisy, clean, predictor)}))
    typer.echo(json.dumps({"loss": "clean", **measure(clean, clean, predictor)}))
    for name in losses or LOSSES:
        config = from_overrides(DenoiserConfig, parse_overrides(overrides or []) | {"loss": name})
        run = DenoiserTrainer(out / name, clips, config)
        run.folder.mkdir(parents=True, exist_ok=True)
        run.restore()
        run.train()
        with torch.no_grad():
            outputs = [run.network(torch.from_numpy(audio)[None])[0].numpy() for audio in noisy]
        typer.echo(json.dumps({"loss": name, **measure(outputs, clean, predictor)}))


if __name__ == "__main__":
    cli.run(main)
