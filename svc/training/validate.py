"""Fixed phrases, sung during training: measured, to be listened to, and to be looked at."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from svc.audio.picture import draw
from svc.conditioning import Conditioning, one_hot
from svc.config import Config
from svc.data.dataset import read_audio, read_features
from svc.data.manifest import Clip, Manifest
from svc.features.store import Store
from svc.losses.objective import reconstruction_terms
from svc.models.generator import Generator

LONGEST = 600  # frames of a phrase


@dataclass(frozen=True, slots=True)
class Phrase:
    """A held-out stretch: who sings it, and whom it is turned into for listening."""

    name: str
    singer: str
    targets: tuple[str, ...]
    conditioning: Conditioning
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
        heard = [clip.singer for clip in chosen]
        clips.sort(key=lambda clip: (heard.count(clip.singer), clip.key))
        chosen.append(clips.pop(0))
    return [_phrase(prepared, clip, config) for clip in chosen]


def _phrase(prepared: Manifest, clip: Clip, config: Config) -> Phrase:
    store = Store(prepared.folder / "store")
    length = min(clip.frames, LONGEST)
    names = [singer.name for singer in prepared.singers]
    number = names.index(clip.singer)
    others = [names[(number + step) % len(names)] for step in (1, 1 + len(names) // 2)]
    targets = tuple(dict.fromkeys(name for name in others if name != clip.singer))
    conditioning = read_features(store, clip, 0, length).conditioning(one_hot(number, len(names)))
    return Phrase(clip.path, clip.singer, targets, conditioning, read_audio(store, clip, 0, length, config.hop))


@torch.no_grad()
def sing(
    generator: Generator, phrases: list[Phrase], prepared: Manifest, config: Config, *, refine: bool
) -> tuple[list[Rendition], float]:
    """Every phrase reconstructed and converted, and the mean spectral distance of the reconstructions."""
    device = next(generator.parameters()).device
    renditions, distances = [], []
    for phrase in phrases:
        conditioning = phrase.conditioning.to(device)
        fake = generator(conditioning, refine)
        terms = reconstruction_terms(fake=fake, real=phrase.audio.to(device), config=config.loss)
        distances.append(float(terms["spectral"]))
        conversions = {}
        for target in phrase.targets:
            singer = one_hot(prepared.number(target), len(prepared.singers)).to(device)[None]
            conversions[target] = generator(conditioning.with_singer(singer), refine)[0].cpu()
        renditions.append(Rendition(phrase, fake[0].cpu(), conversions))
    return renditions, float(np.mean(distances)) if distances else float("inf")


def picture(rendition: Rendition, config: Config) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Spectrograms of truth, reconstruction and conversions with the f0 asked for: (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    phrase = rendition.phrase
    asked = torch.where(phrase.conditioning.voiced > 0, phrase.conditioning.f0, 0)[0].numpy()
    rows = {f"{phrase.singer}, truth": phrase.audio[0], f"{phrase.singer}, sung": rendition.reconstruction}
    rows |= {f"as {name}": audio for name, audio in rendition.conversions.items()}
    figure = Figure(figsize=(10, 2.2 * len(rows)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (title, audio) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows.items(), strict=True):
        draw(axes, audio.numpy(), config.sample_rate, asked, title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
