"""Fixed phrases, sung during training: measured, to be listened to, and to be looked at."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from svc.audio.plot import plot_spectrogram
from svc.config import Config
from svc.data.dataset import read_audio, read_features
from svc.data.manifest import Clip, Manifest
from svc.features.cache import FeatureCache
from svc.features.conditioning import Conditioning, one_hot
from svc.inference import transpose
from svc.losses.total import reconstruction_losses
from svc.models.generator import Generator

LONGEST = 600  # frames of a phrase


@dataclass(frozen=True, slots=True)
class Phrase:
    """A held-out stretch: its file, its singer, what it is sung from as it is and as somebody else."""

    name: str
    singer: str
    conditioning: Conditioning
    targets: dict[str, Conditioning]
    audio: Tensor


@dataclass(frozen=True, slots=True)
class Rendition:
    """A phrase as it sounds now: (T,) each."""

    phrase: Phrase
    reconstruction: Tensor
    conversions: dict[str, Tensor]


def choose(prepared: Manifest, config: Config) -> list[Phrase]:
    """The phrases of a run: held-out clips of as many singers as there are phrases, the same every time."""
    clips = sorted(prepared.split("valid"), key=lambda clip: clip.key)
    chosen: list[Clip] = []
    while clips and len(chosen) < config.train.phrases:
        heard = [clip.speaker for clip in chosen]
        clips.sort(key=lambda clip: (heard.count(clip.speaker), clip.key))
        chosen.append(clips.pop(0))
    return [_phrase(prepared, clip, config) for clip in chosen]


def _phrase(prepared: Manifest, clip: Clip, config: Config) -> Phrase:
    store = FeatureCache(prepared.folder / "store")
    length = min(clip.frames, LONGEST)
    names = [singer.name for singer in prepared.speakers]
    number = names.index(clip.speaker)
    others = [names[(number + step) % len(names)] for step in (1, 1 + len(names) // 2)]
    features = read_features(store, clip, 0, length)
    conditioning = features.conditioning(one_hot(number, len(names)))
    targets = {}
    for name in others:
        if name != clip.speaker:
            singer = prepared.speakers[names.index(name)]
            moved = conditioning.transposed(transpose.choose("auto", features.f0[features.voiced], singer.range))
            targets[name] = moved.with_speaker(one_hot(names.index(name), len(names))[None])
    return Phrase(clip.path, clip.speaker, conditioning, targets, read_audio(store, clip, 0, length, config.hop))


Judge = Callable[[Sequence[Rendition]], dict[str, float]]  # named scores; ``overall``, 0–1, chooses the best


@torch.no_grad()
def sing(generator: Generator, phrases: Sequence[Phrase], *, use_wavenet: bool) -> list[Rendition]:
    """Every phrase reconstructed and converted."""
    device = next(generator.parameters()).device

    def sung(conditioning: Conditioning) -> Tensor:
        return generator(conditioning.to(device), use_wavenet)[0].cpu()

    return [
        Rendition(phrase, sung(phrase.conditioning), {name: sung(told) for name, told in phrase.targets.items()})
        for phrase in phrases
    ]


def spectral_judge(renditions: Sequence[Rendition], config: Config) -> dict[str, float]:
    """``spectral``, the mean loss of the reconstructions, and ``overall`` = 1 / (1 + spectral)."""
    distances = [
        float(
            reconstruction_losses(fake=made.reconstruction[None], real=made.phrase.audio, config=config.loss)["spectral"]
        )
        for made in renditions
    ]
    spectral = float(np.mean(distances)) if distances else math.inf
    return {"spectral": spectral, "overall": 1 / (1 + spectral)}


def picture(rendition: Rendition, config: Config) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Spectrograms of truth, reconstruction and conversions with the f0 asked for: (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    phrase = rendition.phrase
    own = phrase.conditioning
    rows = {
        f"{phrase.singer}, truth": (phrase.audio[0], own),
        f"{phrase.singer}, sung": (rendition.reconstruction, own),
    }
    rows |= {f"as {name}": (audio, phrase.targets[name]) for name, audio in rendition.conversions.items()}
    figure = Figure(figsize=(10, 2.2 * len(rows)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    places = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axes, (title, (audio, asked_of)) in zip(places, rows.items(), strict=True):
        asked = torch.where(asked_of.voiced > 0, asked_of.f0, 0)[0].numpy()
        plot_spectrogram(axes, audio.numpy(), config.sample_rate, asked, title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
