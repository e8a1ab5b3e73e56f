"""Train the speaker encoder: ``python recipes/train_speaker_encoder.py CLIPS … -o RUN --cache CACHE``."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from verification import equal_error_rate

from svc import cli
from svc.audio import files, praat
from svc.audio.files import Audio
from svc.audio.find import find_audio
from svc.audio.resample import fit_length, resample
from svc.audio.stft import power_spectrogram
from svc.config import parse_overrides
from svc.config.tree import from_overrides
from svc.encoders.speaker_encoder import (
    FFT,
    HOP,
    SAMPLE_RATE,
    SIZE,
    WINDOW,
    SpeakerEncoder,
    SpeakerNetwork,
    mel_bank,
    normalise,
)
from svc.encoders.weights import half_precision
from svc.losses.ge2e import ge2e_loss
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.training.resume import lock_run
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress

WEIGHTS, HELD_OUT_LIST = "speaker_encoder.safetensors", "held_out.txt"
WARPS = 1.0, 0.87, 1.15  # of the frequency axis: each warped speaker is one more to tell apart
SEMITONES, RANGE_FACTORS, PITCH_RANGE = (-5.0, 10.0), (0.15, 1.0), (75.0, 500.0)  # of the other pitch
DB = 10 / np.log(10)  # in a neper of power
RATES, PIECE = ((-0.4, 0.3), (-1.8, 0.3)), 20  # log tempo of clip and version, drawn anew after so many frames
SECONDS = 12.0  # of a clip that are used
SPEAKER_SECONDS = 150.0  # of a speaker that are used
HELD_OUT, LARGE = 7, 20  # one speaker in seven of a folder with at least 20, those with most clips
Mel = NDArray[np.float16]
Speakers = list[list[list[Mel]]]  # versions of clips of speakers


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakerConfig(SupervisedConfig):
    """Options of the training.

    Attributes:
        network: ``cnn`` or ``lstm``.
        loss: cross-entropy of a cosine classifier; that and the distance to a learned centre of the speaker
            (Thoidis et al. 2023); or GE2E (Wan et al. 2018).
        speakers: in a batch.
        segments: of each of them.
        segment_seconds: shortest and longest; one length for a batch.
        centre_weight: of the cosine distance to the centre.
        scale: of the cosines in the classifier.
        margin: that the cosine to the own class has to keep (AM-softmax, Wang et al. 2018).
        equaliser_db: standard deviation of a random smooth equaliser.
        start: weights of the same network to begin with, if any.
    """

    network: Literal["cnn", "lstm"] = "cnn"
    loss: Literal["cross_entropy", "centre", "ge2e"] = "ge2e"
    steps: int = 1000
    warmup_steps: int = 50
    speakers: int = 20
    segments: int = 3
    segment_seconds: tuple[float, float] = (1.0, 3.0)
    centre_weight: float = 1.0
    scale: float = 20.0
    margin: float = 0.1
    equaliser_db: float = 3.0
    start: str = ""


class Classifier(nn.Module):
    """The network with what its losses need: a direction and a centre of each class, and the scale of GE2E."""

    def __init__(self, network: str, classes: int) -> None:
        super().__init__()
        self.network = SpeakerNetwork(network)
        self.directions = nn.Parameter(0.05 * torch.randn(classes, SIZE))  # short ones turn fast
        self.centres = nn.Parameter(0.05 * torch.randn(classes, SIZE))
        self.similarity = nn.Parameter(torch.tensor([10.0, -5.0]))

    def forward(self, mel: Tensor) -> Tensor:
        """Unit vectors (B, 128)."""
        embedding: Tensor = self.network(mel)
        return embedding


class SpeakerTrainer(SupervisedTrainer):
    """The training run of a speaker encoder.

    Args:
        folder: of the run.
        speakers: log-mel spectra (3 warps, N, 64) of the versions of the clips of each training speaker.
        held_out: the same of the speakers that are held out.
        config: options.
    """

    config: SpeakerConfig
    network: Classifier

    def __init__(self, folder: Path, speakers: Speakers, held_out: Speakers, config: SpeakerConfig) -> None:
        self.speakers, self.held_out = speakers, held_out
        digest = hashlib.sha256()
        for clips in speakers:
            digest.update(b"speaker")
            for versions in clips:
                digest.update(np.ascontiguousarray(versions[-1][0, ::40]).tobytes())
        super().__init__(folder, config, digest.hexdigest())

    def make_network(self) -> nn.Module:
        """The network with its initial weights; every warp of a speaker is a class."""
        classifier = Classifier(self.config.network, len(WARPS) * len(self.speakers))
        if self.config.start:
            classifier.network.body.load_state_dict(SpeakerEncoder(Path(self.config.start)).model.body.state_dict())
        return classifier

    def losses(self, step: int) -> Tensors:
        """Losses of a batch of segments, drawn evenly over the speakers."""
        config, draw = self.config, np.random.default_rng([self.config.seed, step])
        classes = draw.choice(len(WARPS) * len(self.speakers), size=config.speakers, replace=False)
        frames = round(100 * float(draw.uniform(*config.segment_seconds)))
        mel = torch.stack([self._segment(draw, int(one), frames) for one in classes for _ in range(config.segments)])
        embedding = self.network(normalise(augment(mel, draw, config.equaliser_db)))
        if config.loss == "ge2e":
            segments = embedding.unflatten(0, (config.speakers, config.segments))
            return {"ge2e": ge2e_loss(segments, self.network.similarity)}
        target = torch.from_numpy(classes).repeat_interleave(config.segments)
        cosines = embedding @ functional.normalize(self.network.directions, dim=1).T
        margin = config.margin * functional.one_hot(target, cosines.shape[1])
        losses = {"cross_entropy": functional.cross_entropy(config.scale * (cosines - margin), target)}
        if config.loss == "centre":
            losses["centre"] = (1 - functional.cosine_similarity(embedding, self.network.centres[target])).mean()
        return losses

    def loss_weights(self) -> dict[str, float]:
        """Of the cosine distance to the centre."""
        return {"centre": self.config.centre_weight}

    def _segment(self, draw: np.random.Generator, one: int, frames: int) -> Tensor:
        """Mel power in nepers (frames, 64) of a class at a changing tempo, slow at the other pitch as in singing."""
        speaker, warp = divmod(one, len(WARPS))
        clips = self.speakers[speaker]
        versions = clips[int(draw.integers(len(clips)))]
        version = int(draw.integers(len(versions)))
        mel = versions[version][warp]
        path = np.cumsum(np.repeat(np.exp(draw.uniform(*RATES[version], size=frames // PIECE + 1)), PIECE)[:frames])
        path *= min(1.0, (len(mel) - 2) / path[-1])
        path += draw.uniform(0, len(mel) - 1 - path[-1])
        place, share = path.astype(int), torch.from_numpy((path % 1).astype(np.float32))[:, None]
        now, then = (torch.from_numpy(mel[place + later].astype(np.float32)) for later in (0, 1))
        return (1 - share) * now + share * then

    @torch.no_grad()
    def _infer(self, network: nn.Module, power: Tensor) -> Tensor:
        """Output (B, 128) of a part of the network in eval mode for mel power (B, N, 64)."""
        self.network.eval()
        output: Tensor = network(normalise(power))
        self.network.train()
        return output

    def evaluate(self) -> dict[str, float]:
        """Equal error rate of held-out speakers: the first and the last 3 s of each of their clips."""
        rows, names = [], []
        for number, clips in enumerate(self.held_out):
            mels = [torch.from_numpy(versions[0][0].astype(np.float32)) for versions in clips[:6]]
            long = [mel for mel in mels if len(mel) >= 300]
            rows += [part for mel in long for part in (mel[:300], mel[-300:])]
            names += [number] * 2 * len(long)
        if not rows:
            return {}
        embedding, pairs = self._infer(self.network, torch.stack(rows).exp()), np.triu_indices(len(rows), 1)
        same = np.array(names)[:, None] == np.array(names)
        return {"eer": equal_error_rate((embedding @ embedding.T).numpy()[pairs], same[pairs])}

    def whiten(self, draws: int = 12) -> None:
        """Set the centre and the whitening: unit variance within the training speakers (WCCN, Hatch et al. 2006)."""
        draw, network = np.random.default_rng(self.config.seed), self.network.network
        means, within = [], []
        for speaker in progress(range(len(self.speakers)), "whiten", "speaker", len(self.speakers)):
            mel = torch.stack([self._segment(draw, speaker * len(WARPS), 300) for _ in range(draws)])
            raw = self._infer(network.body, augment(mel, draw, self.config.equaliser_db))
            means.append(raw.mean(dim=0))
            within.append((raw - means[-1]).T @ (raw - means[-1]) / (draws - 1))
        values, vectors = torch.linalg.eigh(torch.stack(within).mean(dim=0).double())
        shrunk = (0.5 * values + 0.5 * values.mean()).rsqrt()
        whitening = vectors @ torch.diag(shrunk / shrunk.mean()) @ vectors.T
        network.centre.copy_(torch.stack(means).mean(dim=0))
        network.whitening.copy_(whitening)

    def write(self) -> Path:
        """Write the weights of the encoder in half precision."""
        stored = half_precision(self.network.network)
        config = replace(self.config, start=Path(self.config.start).name)
        write_bytes(self.folder / WEIGHTS, save(stored, {"config": json.dumps(asdict(config))}))
        return self.folder / WEIGHTS


def augment(mel: Tensor, draw: np.random.Generator, equaliser_db: float) -> Tensor:
    """Mel power (B, N, 64) of power in nepers, with a random smooth equaliser, and noise 10 to 50 dB below."""
    batch, frames, bands = mel.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.from_numpy(draw.uniform(low, high, size=(batch, 1, 1)).astype(np.float32))

    knots = torch.from_numpy(draw.normal(scale=equaliser_db / DB, size=(batch, 1, 6)).astype(np.float32))
    power = (mel + functional.interpolate(knots, size=bands, mode="linear", align_corners=True)).exp()
    level = power.mean(dim=(1, 2), keepdim=True) * (-uniform(10, 50) / DB).exp()
    tilt = (uniform(-4.5, 1.5) * torch.linspace(0, 1, bands)).exp()
    noise = torch.from_numpy(draw.standard_gamma(2.0, size=(batch, frames, bands), dtype=np.float32) / 2)
    return power + level * tilt * noise


def clip_versions(path: Path, cache: Path) -> list[Mel]:
    """Mel power in nepers (3 warps, N, 64) of a clip and of itself at another pitch; they are cached."""
    stat = path.stat()
    settings = SECONDS, WARPS, SEMITONES, RANGE_FACTORS, PITCH_RANGE
    key = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {settings}".encode()).hexdigest()[:24]
    stored = [cache / f"{key}.{number}.npy" for number in range(2)]
    if not all(file.exists() for file in stored):
        cache.mkdir(parents=True, exist_ok=True)
        audio = resample(files.read(path).first(SECONDS), SAMPLE_RATE)
        draw = np.random.default_rng(int(key[:12], 16))
        for file, sound in zip(stored, (audio, at_another_pitch(audio, draw)), strict=True):
            with file.with_suffix(".part").open("wb") as stream:
                np.save(stream, warped_mels(sound))
            file.with_suffix(".part").replace(file)
    return [np.load(file, mmap_mode="r") for file in stored]


def at_another_pitch(audio: Audio, draw: np.random.Generator) -> Audio:
    """The same formants at a random pitch and with a random, smaller pitch range: nearer to singing."""
    sound, median = praat.to_praat(audio)
    pitch = float(np.clip(median * 2 ** (draw.uniform(*SEMITONES) / 12), *PITCH_RANGE))
    changed = praat.change_gender(sound, 1.0, pitch, float(draw.uniform(*RANGE_FACTORS)))
    return Audio(fit_length(changed.values[0], len(audio.samples)), audio.rate)


def warped_mels(audio: Audio) -> Mel:
    """Mel power in nepers (3 warps, N, 64) relative to the mean power."""
    power = power_spectrogram(torch.from_numpy(audio.samples)[None], WINDOW, HOP, FFT)
    mels = torch.cat([power @ mel_bank(warp) for warp in WARPS])
    return torch.log(mels / (mels.mean() + 1e-12) + 1e-7).numpy().astype(np.float16)


def read_speakers(folders: Sequence[Path], cache: Path) -> tuple[Speakers, Speakers]:
    """Clips of training and held-out speakers; the folder of a clip is its speaker."""
    sides: tuple[Speakers, Speakers] = ([], [])
    chosen = split(folders)
    total = sum(len(clips) for side in chosen for clips in side.values())
    bar = iter(progress(range(total), "read", "clip", total))
    for side, speakers in zip(sides, chosen, strict=True):
        for paths in speakers.values():
            clips: list[list[Mel]] = []
            seconds = 0.0
            for path in paths:
                next(bar)
                if seconds < SPEAKER_SECONDS:
                    versions = clip_versions(path, cache)
                    seconds += versions[0].shape[1] / 100
                    clips += [versions] if versions[0].shape[1] >= 100 else []
            side += [clips] if clips else []
    return sides


def split(folders: Sequence[Path]) -> tuple[dict[Path, list[Path]], dict[Path, list[Path]]]:
    """Clips by speaker, of training and held out."""
    sides: tuple[dict[Path, list[Path]], dict[Path, list[Path]]] = {}, {}
    for folder in folders:
        speakers: dict[Path, list[Path]] = {}
        for path in find_audio(folder):
            speakers.setdefault(path.parent, []).append(path)
        most_clips = sorted(speakers, key=lambda speaker: (-len(speakers[speaker]), speaker))
        held_out = set(most_clips[: len(speakers) // HELD_OUT if len(speakers) >= LARGE else 0])
        for speaker, clips in speakers.items():
            sides[speaker in held_out][speaker] = clips
    return sides


def main(
    folders: Annotated[list[Path], typer.Argument(help="clips of speech or song, in a folder for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the run; resumed if it exists")],
    cache: Annotated[Path, typer.Option(help="folder for the spectra")] = Path("prepared/speaker_encoder"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. loss=ge2e")] = None,
) -> None:
    """Train a speaker encoder on recordings. The same command again resumes."""
    config = from_overrides(SpeakerConfig, parse_overrides(overrides or []))
    with lock_run(out):
        run = SpeakerTrainer(out, *read_speakers(folders, cache), config)
        held_out = [speaker.name for speaker in split(folders)[1]]
        write_bytes(out / HELD_OUT_LIST, "\n".join(held_out).encode())
        typer.echo(f"{len(run.speakers)} speakers, {len(held_out)} held out", err=True)
        run.restore()
        run.train()
        plain = run.evaluate()
        run.whiten()
        file = run.write()
    typer.echo(f"{file}: {file.stat().st_size / 1e6:.2f} MB, {plain}, whitened {run.evaluate()}")


if __name__ == "__main__":
    cli.run(main)
