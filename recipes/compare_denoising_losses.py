"""Losses of a speech denoiser at equal steps: ``python recipes/compare_denoising_losses.py CLIPS … -o RUN``.

L2 and L1 of the waveform, L1 of the cochleagram (2011.10706), and deep feature losses with trained and with random
weights (DFL, 1806.10522). L1 of the spectrum alone, with each of several encoders, with all, with all but one, with
all at random weights, and with layer weights by uncertainty (PERL, 2010.11860); with a PESQ surrogate that is trained
on the denoiser's outputs meanwhile (MetricGAN, 1905.04874). The denoiser masks an STFT: the published ones take 25
times the computing.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import noise
import numpy as np
import torch
import typer
from speech import RATE, draw_segment, load_quality, read_clips, update_surrogate
from torch import Tensor, nn
from torch.nn import functional

from svc import cli, encoders
from svc.audio.files import Audio, Samples
from svc.audio.stft import mel_filters, power_spectrogram
from svc.config import PerceptualLossConfig, parse_overrides
from svc.config.tree import from_overrides
from svc.encoders.pesq_net import PESQEncoder, PESQNetwork
from svc.evaluation.metrics.mos import Predictor, load_mos_predictor
from svc.evaluation.statistics import estimate
from svc.losses.perceptual import LayerBalance, PerceptualLoss
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.utils.progress import progress

FFT, HOP = 512, 128
LEVEL = 0.1  # RMS of audio that is measured
MEMBERS = {  # of the ensemble (PERL): early and middle layers
    "cochleagram": PerceptualLossConfig(encoder="cochleagram", layers=("envelope",)),
    "dfl": PerceptualLossConfig(encoder="dfl", layers=tuple(f"layer{number}" for number in range(1, 7))),
    "phones": PerceptualLossConfig(encoder="phone-classifier", layers=("block1", "block2", "block4")),
    "autoencoder": PerceptualLossConfig(encoder="autoencoder", layers=("layer1", "layer2")),
    "pesq": PerceptualLossConfig(encoder="pesq-net", layers=("features",)),
}
RANDOM, UNCERTAINTY, RELABELLED = "random", "uncertainty", "relabelled"
UNCERTAINTY_RATE, RELABEL_EVERY = 0.1, 5  # a step; steps
FEATURES: dict[str, tuple[str, ...]] = {"cochleagram": ("cochleagram",), "dfl": ("dfl",), "dfl_random": ("dfl",)}
FEATURES |= {f"stft_{name}": (name,) for name in MEMBERS} | {f"stft_pesq_{RELABELLED}": ("pesq",)}
FEATURES |= dict.fromkeys(("stft_all", f"stft_all_{RANDOM}", f"stft_all_{UNCERTAINTY}"), tuple(MEMBERS))
FEATURES |= {f"stft_without_{left}": tuple(name for name in MEMBERS if name != left) for left in MEMBERS}
LOSSES = ("l2", "l1", "stft", *FEATURES)


@dataclass(frozen=True, kw_only=True, slots=True)
class DenoiserConfig(SupervisedConfig):
    """Options of the training; deep feature losses are balanced after a tenth of the steps."""

    loss: str = "l1"
    ratio: float = 0.05  # of an encoder to the L1 of the spectrum, after balancing
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
        self.clips = clips
        self.features = {name: self._feature_loss(name, config) for name in FEATURES.get(config.loss, ())}
        encoder = PESQEncoder()
        self.surrogate = encoder.model
        if config.loss.endswith(RELABELLED):
            self.features["pesq"].encoder = encoder
        super().__init__(folder, config, str(len(clips)))

    def _feature_loss(self, name: str, config: DenoiserConfig) -> PerceptualLoss:
        options = MEMBERS[name]
        random = config.loss.endswith(RANDOM) and encoders.has_random_weights(options.encoder)
        if config.loss.endswith(UNCERTAINTY):
            options = replace(options, uncertainty_rate=UNCERTAINTY_RATE)
        loss = PerceptualLoss(encoders.load(options.encoder, random_weights=random), options, RATE)
        if isinstance(loss.balance, LayerBalance):
            loss.balance.first_calls = max(1, config.steps // 10)
        return loss

    def make_network(self) -> nn.Module:
        """The denoiser with random weights."""
        return Denoiser(self.config.channels)

    def batch(self, *seed: int) -> tuple[Tensor, Tensor]:
        """Noisy and clean segments (B, T)."""
        draw = np.random.default_rng([self.config.seed, *seed])
        pairs = [make_pair(self.clips, int(index), self.config.segment, draw, self.clips)
                 for index in draw.integers(len(self.clips), size=self.config.batch_size)]  # fmt: skip
        noisy, clean = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
        return noisy, clean

    def losses(self, step: int) -> Tensors:
        """The one loss."""
        noisy, clean = self.batch(step)
        return {self.config.loss: self.distance(self.network(noisy), clean)}

    def before_step(self, step: int) -> None:
        """Now and then, label outputs of the denoiser anew, and train the surrogate on them (MetricGAN)."""
        if not self.config.loss.endswith(RELABELLED) or step % RELABEL_EVERY:
            return
        noisy, clean = self.batch(step, 1)
        with torch.no_grad():
            fake, real = LEVEL * torch.cat([self.network(noisy), noisy]), LEVEL * clean.repeat(2, 1)
        update_surrogate(self.surrogate, real, fake)

    def distance(self, fake: Tensor, real: Tensor) -> Tensor:
        """The loss between audio (B, T)."""
        if self.config.loss in ("l1", "l2"):
            power = 2 if self.config.loss == "l2" else 1
            return (fake - real).abs().pow(power).mean() / real.abs().pow(power).mean()
        terms = []
        for loss in self.features.values():
            target = loss.features(real)
            terms.append(loss.balance(loss.distances(loss.features(fake), target, loss.config.layers)))
        if not self.config.loss.startswith("stft"):
            return terms[0]
        spectra = [power_spectrogram(audio, FFT, HOP).clamp_min(1e-8).sqrt() for audio in (fake, real)]
        spectral = (spectra[0] - spectra[1]).abs().sum() / spectra[1].sum()
        return spectral + self.config.ratio * sum(terms, torch.zeros(()))

    def extra_state(self) -> Tensors:
        """The layer weights, and the surrogate of PESQ."""
        state = {
            f"{loss}.{name}": torch.tensor(value)
            for loss, features in self.features.items()
            for name, value in features.balance.state().items()
        }
        return state | {f"surrogate.{name}": value for name, value in self.surrogate.state_dict().items()}

    def load_extra_state(self, state: Tensors) -> None:
        """Take what ``extra_state`` gave."""
        for loss, features in self.features.items():
            parts = {name: value for name, value in state.items() if name.startswith(f"{loss}.")}
            features.balance.load_state({name.removeprefix(f"{loss}."): part.tolist() for name, part in parts.items()})
        self.surrogate.load_state_dict({name: state[f"surrogate.{name}"] for name in self.surrogate.state_dict()})


def make_pair(
    clips: list[Samples], index: int, length: int, draw: np.random.Generator, voices: list[Samples]
) -> tuple[Samples, Samples]:
    """Noisy and clean segment (T,) at 0 to 10 dB, scaled so that the clean one has unit power."""
    clean = draw_segment(clips[index], length, 1.0, draw)
    added = noise.make_noise(draw.choice(noise.KINDS), length, RATE, draw, voices)
    return noise.mix(clean, added, draw.uniform(0, 10)), clean


def distances(output: Samples, clean: Samples) -> dict[str, float]:
    """SI-SDR and log-mel distance, both in dB."""
    target = clean * (np.dot(output, clean) / np.dot(clean, clean))
    bank = torch.from_numpy(mel_filters(RATE, FFT, 64, 60.0, 7600.0)).float().T
    powers = [power_spectrogram(torch.from_numpy(audio)[None], FFT, HOP) @ bank for audio in (output, clean)]
    levels = [10 * torch.log10(power + 1e-5) for power in powers]
    return {
        "si_sdr_db": float(10 * np.log10(np.sum(target**2) / (np.sum((output - target) ** 2) + 1e-9))),
        "log_mel_db": float((levels[0] - levels[1]).square().mean(dim=-1).sqrt().mean()),
    }


def compare(
    outputs: list[Samples], cleans: list[Samples], mos: Predictor | None, surrogate: PESQNetwork
) -> dict[str, list[float]]:
    """Measures of every clip by name: distances, predicted MOS, quality, and quality predicted by a surrogate."""
    name, quality = load_quality()
    rows: list[dict[str, float]] = []
    for output, clean in progress(zip(outputs, cleans, strict=True), "measure", "clip", len(outputs)):
        real, fake = LEVEL * clean, LEVEL * output
        row = distances(output, clean) | (mos(Audio(fake, RATE)) if mos else {})
        predicted = surrogate.score(torch.from_numpy(real)[None], torch.from_numpy(fake)[None])
        rows.append(row | {name[:4]: quality(real, fake), "surrogate": predicted.item()})
    return {key: [row[key] for row in rows] for key in rows[0]}


def describe(values: dict[str, list[float]], baseline: dict[str, list[float]]) -> dict[str, str]:
    """Means over clips, and 95 % bootstrap intervals of the differences to a baseline."""
    texts = {}
    for key, own in values.items():
        difference = estimate(list(np.subtract(own, baseline[key])), [str(n) for n in range(len(own))])
        texts[key] = f"{np.mean(own):.3f} ({difference.low:+.3f} … {difference.high:+.3f})"
    return texts


def main(
    folders: Annotated[list[Path], typer.Argument(help="clean speech, in a folder for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the runs; each is resumed if it exists")],
    losses: Annotated[list[str] | None, typer.Option("-l", "--loss", help=", ".join(LOSSES))] = None,
    pairs: Annotated[int, typer.Option(help="of noisy and clean segments of 3 s that are measured")] = 24,
    seeds: Annotated[int, typer.Option(help="trainings of each loss; their measures are averaged")] = 1,
    mos: Annotated[str | None, typer.Option(help="also predict the MOS: distillmos or dnsmos")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
) -> None:
    """Train a denoiser with each loss, and print measures on speakers that are held out.

    In brackets: 95 % intervals of the difference to the first loss, over the segments.
    """
    clips, held_out = read_clips(folders, 6.0)
    predictor = load_mos_predictor(mos) if mos else None
    draw = np.random.default_rng(12345)
    tests = [make_pair(held_out, n % len(held_out), 3 * RATE, draw, clips) for n in range(pairs)]
    noisy, clean = ([pair[side] for pair in tests] for side in (0, 1))
    for name, outputs in (("noisy", noisy), ("clean", clean)):
        values = compare(outputs, clean, predictor, PESQEncoder().model)
        means = {key: round(float(np.mean(value)), 3) for key, value in values.items()}
        typer.echo(json.dumps({"loss": name, **means}))
    baseline: dict[str, list[float]] = {}
    for name in losses or LOSSES:
        results = []
        for seed in range(seeds):
            config = from_overrides(DenoiserConfig, {"seed": seed} | parse_overrides(overrides or []) | {"loss": name})
            run = DenoiserTrainer(out / f"{name}_{config.seed}", clips, config)
            run.folder.mkdir(parents=True, exist_ok=True)
            run.restore()
            run.train()
            with torch.no_grad():
                outputs = [run.network(torch.from_numpy(audio)[None])[0].numpy() for audio in noisy]
            results.append(compare(outputs, clean, predictor, run.surrogate))
        averaged = {key: list(np.mean([result[key] for result in results], axis=0)) for key in results[0]}
        baseline = baseline or averaged
        typer.echo(json.dumps({"loss": name, **describe(averaged, baseline)}, ensure_ascii=False))


if __name__ == "__main__":
    cli.run(main)
