"""Train the PESQ surrogate (Elbaz and Zibulevsky 1708.05987): ``python recipes/train_pesq_net.py CLIPS … -o RUN``.

Segments of speech and what became of them by noise, clipping, masks and the like; the label is the wide-band PESQ of
the package ``pesq``, or without it a distance of our own, on the same scale.
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
from speech import RATE, Metric, load_quality, read_clips
from torch import Tensor, nn

from svc import cli
from svc.audio.files import Samples
from svc.config import parse_overrides
from svc.config.tree import from_overrides
from svc.encoders import weights
from svc.encoders.pesq_net import HIGHEST, LOWEST, SEGMENT, PESQNetwork
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.training.resume import lock_run
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress

LENGTH, LEVEL = 32_000, 0.1
DEGRADATIONS = (*noise.KINDS, "speech-shaped", "clipping", "low-pass", "mask", "phase")
FILE = "pesq_net.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class PESQNetConfig(SupervisedConfig):
    """Options of the training.

    Attributes:
        pairs: of 2 s that get a label; a tenth as many of held-out speakers.
        batch_size: pairs.
        segment: samples of each pair that are seen in a step, with the label of all of it.
    """

    steps: int = 2000
    pairs: int = 2400
    batch_size: int = 32
    segment: int = LENGTH


class PESQNetTrainer(SupervisedTrainer):
    """Mean square error of the predicted label."""

    config: PESQNetConfig
    network: PESQNetwork

    def __init__(self, folder: Path, pairs: tuple["Pairs", "Pairs"], config: PESQNetConfig) -> None:
        self.pairs, self.held_out = pairs
        super().__init__(folder, config, hashlib.sha256(self.pairs.labels.tobytes()).hexdigest())

    def make_network(self) -> nn.Module:
        """The network with random weights."""
        return PESQNetwork()

    def losses(self, step: int) -> Tensors:
        """The one loss, in units of the range of the label."""
        draw = np.random.default_rng([self.config.seed, step])
        chosen = draw.integers(len(self.pairs.labels), size=self.config.batch_size)
        real, fake = self.pairs.audio(chosen)
        start = int(draw.integers(LENGTH - self.config.segment + 1))
        span = slice(start, start + self.config.segment)
        error = self.network.score(real[:, span], fake[:, span]) - torch.from_numpy(self.pairs.labels[chosen])
        return {"label": (error / (HIGHEST - LOWEST)).square().mean()}

    def evaluate(self) -> dict[str, float]:
        """Pearson's r on held-out speakers."""
        return {"r": correlation(self.predict(self.held_out, LENGTH), self.held_out.labels)}

    @torch.no_grad()
    def predict(self, pairs: "Pairs", length: int) -> NDArray[np.floating]:
        """Predicted labels from a length in the middle of each pair."""
        span = slice((LENGTH - length) // 2, (LENGTH + length) // 2)
        parts = np.array_split(np.arange(len(pairs.labels)), max(1, len(pairs.labels) // 16))
        scores = [self.network.score(*(side[:, span] for side in pairs.audio(part))) for part in parts]
        return torch.cat(scores).numpy()

    def save(self) -> None:
        """Checkpoint, and the network in half precision."""
        super().save()
        header = {"config": json.dumps(asdict(self.config)), "step": json.dumps(self.step)}
        write_bytes(self.folder / FILE, save(weights.half_precision(self.network), header))


class Pairs:
    """Real and degraded segments with labels, which are kept in a file.

    Attributes:
        kinds: the degradation of each pair; "two" for two at once.
        labels: (P,).
    """

    def __init__(self, clips: list[Samples], count: int, seed: int, metric: Metric, file: Path) -> None:
        self.clips, self.seed = clips, seed
        pairs = [self._make(index) for index in range(count)]
        if not file.exists():
            bar = progress(pairs, "label", "pair", count)
            labels = [metric(real.astype(np.float32), fake.astype(np.float32)) for real, fake, _ in bar]
            write_bytes(file, np.array(labels, np.float32).tobytes())
        stored: NDArray[np.float32] = np.fromfile(file, np.float32)
        self.labels: NDArray[np.float32] = stored[stored > 0]
        self._pairs = [pair for pair, label in zip(pairs, stored, strict=True) if label > 0]
        self.kinds = np.array([kind for *_, kind in self._pairs])

    def audio(self, indices: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        """Real and degraded audio (B, T)."""
        sides = zip(*(self._pairs[index][:2] for index in indices), strict=True)
        real, fake = (torch.from_numpy(np.stack(side)).float() for side in sides)
        return real, fake

    def _make(self, index: int) -> tuple[NDArray[np.float16], NDArray[np.float16], str]:
        draw = np.random.default_rng([self.seed, index])
        real = self._segment(draw)
        kinds = draw.choice(DEGRADATIONS, size=draw.choice([1, 2], p=[0.7, 0.3]), replace=False)
        fake = real
        for kind in kinds:
            fake = degrade(fake, str(kind), draw, self.clips)
        fake = LEVEL * fake / (np.sqrt(np.mean(np.square(fake))) + 1e-5)
        return real.astype(np.float16), fake.astype(np.float16), str(kinds[0]) if len(kinds) == 1 else "two"

    def _segment(self, draw: np.random.Generator) -> Samples:
        """A segment (T,) with speech in it, at an RMS level of .1."""
        while True:
            clip = self.clips[draw.integers(len(self.clips))]
            start = int(draw.integers(len(clip) - LENGTH + 1))
            segment = clip[start : start + LENGTH]
            level = np.sqrt(np.mean(np.square(segment)))
            if level > 0.5 * np.sqrt(np.mean(np.square(clip))):
                return LEVEL * segment / level


def degrade(clip: Samples, kind: str, draw: np.random.Generator, clips: list[Samples]) -> Samples:
    """A degraded segment (T,) of a random strength."""
    strength = draw.random()
    if kind == "clipping":
        peak = np.quantile(np.abs(clip), 1 - 0.5 * strength**2)
        return np.clip(clip, -peak, peak)
    if kind == "low-pass":
        spectrum = np.fft.rfft(clip)
        spectrum[round(len(spectrum) * (1 - 0.9 * strength)) :] = 0
        return np.fft.irfft(spectrum, n=len(clip)).astype(np.float32)
    if kind in ("mask", "phase"):
        window, audio = torch.hann_window(512), torch.from_numpy(clip)
        bins = torch.stft(audio, 512, 128, window=window, return_complex=True)
        wild = torch.from_numpy(draw.standard_normal(bins.shape, np.float32))
        factor = torch.exp(1j * 3 * strength * wild) if kind == "phase" else torch.exp(2 * strength * wild)
        return torch.istft(bins * factor, 512, 128, window=window, length=len(clip)).numpy()
    if kind == "speech-shaped":
        shape = np.abs(np.fft.rfft(clip))
        random = np.fft.irfft(shape * np.exp(2j * np.pi * draw.random(len(shape))), n=len(clip))
        added = (random / np.sqrt(np.mean(np.square(random)))).astype(np.float32)
    else:
        added = noise.make_noise(kind, len(clip), RATE, draw, clips)
    return noise.mix(clip, added, 45 - 45 * strength)


def correlation(predicted: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
    """Pearson's r; NaN of fewer than three pairs."""
    if len(labels) < 3:
        return float("nan")
    return float(np.corrcoef(predicted, labels)[0, 1])


def main(
    folders: Annotated[list[Path], typer.Argument(help="clean speech, in a folder for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the run; resumed if it exists")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
) -> None:
    """Train the surrogate, and print Pearson's r on held-out speakers, also of single segments of 4095 samples."""
    config = from_overrides(PESQNetConfig, parse_overrides(overrides or []))
    label, metric = load_quality()
    sides = zip(read_clips(folders, 10.0), (config.pairs, max(20, config.pairs // 10)), strict=True)
    with lock_run(out):
        training, held_out = (
            Pairs(clips, count, config.seed + 1000 * number, metric, out / f"labels_{number}_{count}_{label[:4]}.f32")
            for number, (clips, count) in enumerate(sides)
        )
        run = PESQNetTrainer(out, (training, held_out), config)
        run.restore()
        run.train()
    predicted = run.predict(held_out, LENGTH)
    row: dict[str, float] = {"r": correlation(predicted, held_out.labels)}
    row |= {"rmse": float(np.sqrt(np.mean(np.square(predicted - held_out.labels))))}
    row |= {f"r of {SEGMENT} samples": correlation(run.predict(held_out, SEGMENT), held_out.labels)}
    for kind in np.unique(held_out.kinds):
        chosen = held_out.kinds == kind
        row[f"r {kind}"] = correlation(predicted[chosen], held_out.labels[chosen])
    typer.echo(json.dumps({"label": label, **{key: round(value, 3) for key, value in row.items()}}))


if __name__ == "__main__":
    cli.run(main)
