"""Speech enhancement for speaker verification: ``python recipes/compare_feature_enhancement.py SPEECH -o RUN``.

A mask on mel spectra in front of the speaker encoder, trained by the distance of features (FL), of the encoder's layers
(deep feature loss, DFL, 1910.11905), or both; or together with the encoder (PL-EESR, 2110.00940).
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import noise
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from speech import RATE, draw_segment, read_speakers
from torch import Tensor, nn
from torch.nn import functional
from verification import resampled_eers

from svc import cli, encoders
from svc.audio.files import Audio, Samples
from svc.audio.stft import power_spectrogram
from svc.config import parse_overrides
from svc.config.tree import from_overrides
from svc.encoders.base import Encoder
from svc.encoders.speaker_encoder import BANDS, FFT, HOP, WINDOW, SpeakerCNN, SpeakerEncoder, mel_bank, normalise
from svc.losses.perceptual import l1
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.utils.progress import progress

SECONDS = 3.0  # of a clip that is tested
SNRS = {"0 dB": 0.0, "5 dB": 5.0, "10 dB": 10.0, "clean": None}
SCALE = 20.0  # of the cosines in the classifier
LEVEL = 0.1  # RMS of all clean audio
RESAMPLES = 200
OTHER = "ge2e"  # speaker encoder that no system was trained with
LOSSES = {  # weights; "encoder" trains the encoder alone, without a mask, "dfl_on" the mask for as long as "joint"
    "fl": {"features": 1.0},
    "dfl": {"layers": 1.0},
    "dfl_fl": {"layers": 1.0, "features": 1.0},
    "dfl_on": {"layers": 1.0},
    "joint": {"layers": 0.5, "speaker": 0.5},
    "encoder": {"speaker": 1.0},
    "joint_0": {"speaker": 1.0},
}
PRETRAINED = "dfl"  # mask that the trainings in CONTINUED begin with
CONTINUED = "dfl_on", "joint", "encoder", "joint_0"
Vectors = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, slots=True)
class EnhancerConfig(SupervisedConfig):
    """Options of the training; what begins with a trained mask takes half the steps at a tenth of the rate."""

    loss: str = "dfl"
    steps: int = 400
    batch_size: int = 16
    segment: int = 2 * RATE
    channels: int = 192


class Enhancer(nn.Module):
    """Mask on mel power: convolutions over time, dilated by 1, 2, 4 and 8 frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.exit = nn.Conv1d(BANDS, channels, 3, padding=1), nn.Conv1d(channels, BANDS, 1)
        self.blocks = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=d, dilation=d) for d in (1, 2, 4, 8))

    def forward(self, power: Tensor) -> Tensor:
        """Mask (B, N, 64) of mel power (B, N, 64)."""
        hidden = functional.leaky_relu(self.enter(normalise(power).transpose(1, 2)), 0.2)
        for block in self.blocks:
            hidden = hidden + functional.leaky_relu(block(hidden), 0.2)
        return torch.sigmoid(self.exit(hidden) + 2).transpose(1, 2)


class Chain(nn.Module):
    """The mask, the encoder, and a direction for each speaker of the training, at first that of the clip."""

    def __init__(self, channels: int, clips: list[Samples]) -> None:
        super().__init__()
        self.enhancer, self.encoder = Enhancer(channels), SpeakerEncoder()
        sounds = (Audio(clip, RATE).first(SECONDS) for clip in clips)
        self.directions = nn.Parameter(torch.from_numpy(np.stack([self.encoder.embed(sound) for sound in sounds])))

    def layers(self, power: Tensor) -> list[Tensor]:
        """Log-mel spectra, blocks and embedding (B, C, N) of the encoder."""
        model = self.encoder.model
        mel = normalise(power)
        outputs, hidden = [mel.transpose(1, 2)], mel[:, None]
        assert isinstance(model.body, SpeakerCNN)
        for block in model.body.blocks:
            hidden = block(hidden)
            outputs.append(hidden.flatten(2))
        return [*outputs, model(mel)[..., None]]


class EnhancerTrainer(SupervisedTrainer):
    """Noisy and clean segments; all losses see the same batches."""

    config: EnhancerConfig
    network: Chain

    def __init__(self, folder: Path, clips: list[Samples], config: EnhancerConfig, start: Enhancer | None) -> None:
        self.clips, self.start, self.weights = clips, start, LOSSES[config.loss]
        super().__init__(folder, config, str(len(self.clips)))

    def make_network(self) -> nn.Module:
        """The chain, with the mask to begin with if there is one; the encoder learns only from its own loss."""
        chain = Chain(self.config.channels, self.clips)
        chain.encoder.requires_grad_("speaker" in self.weights)
        chain.enhancer.load_state_dict((self.start or chain.enhancer).state_dict())
        return chain

    def mask(self, power: Tensor) -> Tensor:
        """Mask (B, N, 64) of mel power (B, N, 64); ones where this system has none."""
        mask: Tensor = self.network.enhancer(power)
        return torch.ones_like(power) if self.config.loss == "encoder" else mask

    def losses(self, step: int) -> Tensors:
        """The losses that have a weight."""
        draw = np.random.default_rng([self.config.seed, step])
        chosen = draw.integers(len(self.clips), size=self.config.batch_size)
        clean = np.stack([draw_segment(self.clips[index], self.config.segment, LEVEL, draw) for index in chosen])
        snrs = np.where(draw.random(len(clean)) < 0.1, 60, draw.uniform(-5, 20, size=len(clean)))
        noisy = np.stack([add_noise(audio, snr, draw, self.clips) for audio, snr in zip(clean, snrs, strict=True)])
        power, target_power = mel_power(torch.from_numpy(noisy)), mel_power(torch.from_numpy(clean))
        enhanced = self.network.layers(power * self.mask(power))
        with torch.no_grad():
            target = self.network.layers(target_power)
        distances = [l1(a, b, torch.ones(1)).mean() for a, b in zip(enhanced, target, strict=True)]
        cosines = enhanced[-1][..., 0] @ functional.normalize(self.network.directions, dim=1).T
        speaker = functional.cross_entropy(SCALE * cosines, torch.from_numpy(chosen))
        losses = {"features": distances[0], "layers": torch.stack(distances[1:]).mean(), "speaker": speaker}
        return {name: loss for name, loss in losses.items() if name in self.weights}

    @torch.no_grad()
    def embed(self, audio: Tensor) -> tuple[Vectors, Tensor]:
        """Unit vectors (B, 128) of audio (B, T), and the audio (B, T) with the mask applied to its spectrum."""
        power = mel_power(audio)
        bank, mask = mel_bank(), self.mask(power)
        vectors: Vectors = self.network.layers(power * mask)[-1][..., 0].numpy()
        gains = (mask @ (bank / bank.sum(dim=1, keepdim=True).clamp_min(1e-6)).T).transpose(1, 2).sqrt()
        gains = torch.where(bank.sum(dim=1)[:, None] > 0, gains, 0)
        window, shift = torch.hann_window(WINDOW), HOP // 2  # our frames are centred half a hop later
        shifted = functional.pad(audio, (-shift, shift))
        spectrum = torch.stft(shifted, FFT, HOP, WINDOW, window, return_complex=True)[..., : gains.shape[-1]]
        cleaned = torch.istft(spectrum * gains, FFT, HOP, WINDOW, window, length=audio.shape[-1] - shift)
        return vectors, functional.pad(cleaned, (shift, 0))


def add_noise(clean: Samples, snr_db: float | None, draw: np.random.Generator, voices: list[Samples]) -> Samples:
    """Noise of a random kind at a signal-to-noise ratio; none where that is None."""
    if snr_db is None:
        return clean
    return noise.mix(clean, noise.make_noise(draw.choice(noise.KINDS), len(clean), RATE, draw, voices), snr_db)


def mel_power(audio: Tensor) -> Tensor:
    """Mel power (B, N, 64) of audio (B, T)."""
    return power_spectrogram(audio, WINDOW, HOP, FFT) @ mel_bank()


@dataclass(frozen=True, slots=True)
class Trials:
    """Clean enrolment clips (E, T), the same clips as tests (E, T) by SNR, and the numbers of their speakers (E,)."""

    clean: Tensor
    tests: dict[str, Tensor]
    speakers: NDArray[np.integer]


def make_trials(speakers: list[list[Samples]], voices: list[Samples]) -> Trials:
    """Trials of all clips against all others, each under a random noise at every SNR."""
    draw, length = np.random.default_rng(1), round(SECONDS * RATE)
    clean = [draw_segment(clip, length, LEVEL, draw) for clips in speakers for clip in clips]
    tests = {label: [add_noise(clip, snr, draw, voices) for clip in clean] for label, snr in SNRS.items()}
    owners = np.repeat(np.arange(len(speakers)), [len(clips) for clips in speakers])
    enrolment, *noisy = (torch.from_numpy(np.stack(audio)) for audio in (clean, *tests.values()))
    return Trials(enrolment, dict(zip(tests, noisy, strict=True)), owners)


@torch.no_grad()
def measure(system: EnhancerTrainer | None, trials: Trials, other: Encoder) -> dict[str, Vectors]:
    """Bootstrap samples of the EER by SNR, through the chain, and by another encoder on the audio that comes out."""
    base = encoders.load("speaker")

    def embed(audio: Tensor) -> tuple[Vectors, Vectors]:
        rows = []
        for part in audio.split(25):
            own, sound = system.embed(part) if system else (base(part)["embedding"][..., 0].numpy(), part)
            rows.append((own, other(sound)["embedding"][..., 0].numpy()))
        own, others = (np.concatenate(side) for side in zip(*rows, strict=True))
        return own, others

    one, two = np.nonzero(~np.eye(len(trials.clean), dtype=bool))
    enrolment, results = embed(trials.clean), {}
    for label, audio in progress(trials.tests.items(), "embed", "SNR", len(trials.tests)):
        for name, enrolled, tested in zip(("", f" {OTHER}"), enrolment, embed(audio), strict=True):
            scores = (enrolled @ tested.T)[one, two]
            results[label + name] = resampled_eers(scores, trials.speakers[one], trials.speakers[two], RESAMPLES)
    return results


def train(name: str, out: Path, clips: list[Samples], overrides: list[str]) -> EnhancerTrainer:
    """Train or resume one system, and before it the mask that it begins with."""
    config = from_overrides(EnhancerConfig, parse_overrides(overrides) | {"loss": name})
    start: Enhancer | None = None
    if name in CONTINUED:
        config = replace(config, steps=config.steps // 2, learning_rate=config.learning_rate / 10)
        start = train(PRETRAINED, out, clips, overrides).network.enhancer
    run = EnhancerTrainer(out / name, clips, config, start)
    run.folder.mkdir(parents=True, exist_ok=True)
    run.restore()
    run.train()
    return run


def main(
    folders: Annotated[list[Path], typer.Argument(help="clean speech, in a folder for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the runs; each is resumed if it exists")],
    losses: Annotated[list[str] | None, typer.Option("-l", "--loss", help=", ".join(LOSSES))] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
) -> None:
    """Print the EER of each system in %, and its difference to none with a paired bootstrap over the speakers."""
    speakers = [clips for clips in read_speakers(folders, 10.0).values() if clips]
    voices = [clips[0] for clips in speakers if len(clips) == 1]
    trials, other = make_trials([clips for clips in speakers if len(clips) > 1], voices), encoders.load(OTHER)
    measured = {"none": measure(None, trials, other)}
    typer.echo(json.dumps({"loss": "none", **describe(measured["none"], measured["none"])}, ensure_ascii=False))
    for name in losses or LOSSES:
        measured[name] = measure(train(name, out, voices, overrides or []), trials, other)
        row: dict[str, object] = {"loss": name, **describe(measured[name], measured["none"])}
        if PRETRAINED in measured:
            row[f"to {PRETRAINED}"] = describe(measured[name], measured[PRETRAINED])
        typer.echo(json.dumps(row, ensure_ascii=False))


def describe(eers: dict[str, Vectors], reference: dict[str, Vectors]) -> dict[str, str]:
    """EER in %, and the 95 % interval of its difference to another system's."""
    intervals = {key: np.quantile(100 * (eers[key] - reference[key])[1:], [0.025, 0.975]) for key in eers}
    return {key: f"{100 * eers[key][0]:.1f} ({low:+.1f} … {high:+.1f})" for key, (low, high) in intervals.items()}


if __name__ == "__main__":
    cli.run(main)
