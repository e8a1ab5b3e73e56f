"""Pre-emphasis in the loss of an amplifier model (1911.08922): ``python recipes/fit_amplifier.py -o RUN``.

Wright and Välimäki: a small LSTM learns a tube-like clipper from plucked strings, once with each frequency weighting of
the error-to-signal ratio (ESR). It is measured by another distance, on strings that it was not trained on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import scipy.signal
import torch
import typer
from torch import Tensor, nn

from svc import cli
from svc.audio.files import Samples
from svc.audio.stft import power_spectrogram
from svc.audio.weighting import CURVES, bin_gains
from svc.config import parse_overrides
from svc.config.tree import from_overrides
from svc.losses.esr import dc_loss, esr
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors

RATE, FFT = 44_100, 2048
WEIGHTINGS = ("none", *CURVES)


@dataclass(frozen=True, kw_only=True, slots=True)
class AmplifierConfig(SupervisedConfig):
    """Options of the training; segments and their start, which does not count, are in samples.

    Attributes:
        seconds: of strings for training; a quarter as many are measured.
    """

    weighting: str = "none"
    steps: int = 300
    learning_rate: float = 1e-2
    warmup_steps: int = 20
    seconds: int = 20
    units: int = 16
    batch_size: int = 32
    segment: int = 1200
    start: int = 200


class Amplifier(nn.Module):
    """LSTM with a linear layer, which gives the difference of the output from the input."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.lstm, self.exit = nn.LSTM(1, units, batch_first=True), nn.Linear(units, 1)

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, T) to the same."""
        hidden: Tensor = self.exit(self.lstm(audio[..., None])[0])[..., 0]
        return audio + hidden


class AmplifierTrainer(SupervisedTrainer):
    """ESR + DC loss of random segments."""

    config: AmplifierConfig

    def make_network(self) -> nn.Module:
        """The LSTM with random weights."""
        self.dry = plucked_strings(self.config.seconds, self.config.seed)
        self.wet = clipper(self.dry)
        return Amplifier(self.config.units)

    def losses(self, step: int) -> Tensors:
        """``esr`` under the weighting, and ``dc``."""
        size = self.config.segment
        draw = np.random.default_rng([self.config.seed, step])
        starts = draw.integers(len(self.dry) - size, size=self.config.batch_size)
        dry, wet = (torch.from_numpy(np.stack([a[s : s + size] for s in starts])) for a in (self.dry, self.wet))
        fake, real = (audio[:, self.config.start :] for audio in (self.network(dry), wet))
        error = esr(fake=fake, real=real, sample_rate=RATE, weighting=self.config.weighting)
        return {"esr": error, "dc": dc_loss(fake=fake, real=real)}

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """ESR, A-weighted ESR, and A-weighted log-spectral distance in dB, on other strings."""
        dry = plucked_strings(self.config.seconds / 4, self.config.seed + 1000)
        fake, real = self.network(torch.from_numpy(dry)[None]), torch.from_numpy(clipper(dry))[None]
        levels = [10 * torch.log10(power_spectrogram(audio, FFT, FFT // 4) + 1e-9) for audio in (fake, real)]
        gains = torch.from_numpy(bin_gains("a_weighting", FFT, RATE)).float()
        return {
            "esr": float(esr(fake=fake, real=real, sample_rate=RATE)),
            "a_weighted_esr": float(esr(fake=fake, real=real, sample_rate=RATE, weighting="a_weighting")),
            "a_weighted_lsd_db": float(((levels[0] - levels[1]).abs() @ gains / gains.sum()).mean()),
        }


def plucked_strings(seconds: float, seed: int) -> Samples:
    """Two notes a second, 80 to 660 Hz, of 20 decaying harmonics at random levels: audio (T,)."""
    draw, audio = np.random.default_rng(seed), np.zeros(round(seconds * RATE))
    time = np.arange(RATE) / RATE
    for start in range(0, len(audio), RATE // 2):
        f0, level = 80 * 2 ** draw.uniform(0, 3.05), 10 ** draw.uniform(-1, -0.3)
        harmonics = [
            np.sin(2 * np.pi * k * f0 * time + draw.uniform(0, 6.28)) * np.exp(-time * (2 + k)) / k
            for k in range(1, 21) if k * f0 < RATE / 2
        ]  # fmt: skip
        part = audio[start : start + RATE]
        part += level * np.sum(harmonics, axis=0)[: len(part)]
    return audio.astype(np.float32)


def clipper(dry: Samples) -> Samples:
    """Tube-like stage: high-pass at 35 Hz, asymmetric tanh, low-pass at 7 kHz."""
    driven = 6 * scipy.signal.lfilter([1, -1], [1, -0.995], dry)
    clipped = np.tanh(driven + 0.3) - np.tanh(0.3)
    return np.asarray(scipy.signal.lfilter([0.63], [1, -0.37], clipped), dtype=np.float32)


def main(
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the runs; each is resumed if it exists")],
    weightings: Annotated[list[str] | None, typer.Option("-w", "--weighting", help=" or ".join(WEIGHTINGS))] = None,
    seeds: Annotated[int, typer.Option(help="runs with each weighting")] = 1,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
) -> None:
    """Fit the LSTM with each weighting, and print what it is away from the clipper."""
    chosen: Sequence[str] = weightings or WEIGHTINGS
    for name in chosen:
        scores = []
        for seed in range(seeds):
            changed = parse_overrides(overrides or []) | {"weighting": name, "seed": seed}
            run = AmplifierTrainer(out / f"{name}_{seed}", from_overrides(AmplifierConfig, changed), "strings")
            run.folder.mkdir(parents=True, exist_ok=True)
            run.restore()
            run.train()
            scores.append(run.measure())
        means = {key: round(float(np.mean([score[key] for score in scores])), 4) for key in scores[0]}
        typer.echo(json.dumps({"weighting": name, "seeds": seeds, **means}))


if __name__ == "__main__":
    cli.run(main)
