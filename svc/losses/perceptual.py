"""What frozen networks hear: a rendition is held against the truth in their layers (Gatys et al. 1508.06576).

CREPE so hears whether the melody is kept, the acoustic model whether the words are, as in Polyak et al. 2008.02830;
both can be asked about a rendition by another singer, of which there is no truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, Self

import torch
from torch import Tensor
from torchaudio.transforms import Resample

from svc.config import Config, ListenerConfig
from svc.config.validation import LISTENERS
from svc.encoders import crepe
from svc.encoders.base import Encoder
from svc.features import content

Layers = Mapping[str, Tensor]

LEVEL = 0.1  # RMS at which the networks hear the truth
TINY = 1e-5  # keeps the distance to silence finite


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a listener is given to hear, and to hold it against.

    Attributes:
        fake: (B + K, T) renditions of crops, and of K of these by other singers, at a level that gives the truth unit
            power.
        real: (B, T) the truth.
        sources: which crops those K are.
        singer: (B + K, S) who was to sing.
        voiced: (B, N) which frames have a pitch.
    """

    fake: Tensor
    real: Tensor
    sources: list[int]
    singer: Tensor
    voiced: Tensor


class Hearing(Protocol):
    """A frozen network that is asked about renditions.

    Attributes:
        seconds: of each crop that it hears.
    """

    seconds: float

    def to(self, device: torch.device | str) -> Self:
        """Itself, on a device."""
        ...

    def judge(self, stretch: Stretch) -> tuple[Tensor, Tensor | None]:
        """What is wrong with renditions of crops, each by itself, in the mean; and with those by others, if any."""
        ...


class Listener:
    """A frozen network that compares.

    Attributes:
        encoder: in eval mode, without gradients for its weights.
        config: layers and distance.
        seconds: of each crop that it hears.
    """

    def __init__(self, encoder: Encoder, config: ListenerConfig, rate: int) -> None:
        self.encoder, self.config, self.seconds = encoder, config, config.seconds
        self._resample = Resample(rate, encoder.sample_rate)

    def to(self, device: torch.device | str) -> Self:
        """Itself, on a device."""
        self.encoder.to(device)
        self._resample.to(device)
        return self

    def hear(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers (B, C, N) of audio (B, T) at unit power."""
        return self.encoder(self._resample(LEVEL * audio))

    def judge(self, stretch: Stretch) -> tuple[Tensor, Tensor | None]:
        """Distances of renditions of the crops from the truth, and of those by others from their sources."""
        heard = self.hear(stretch.fake)
        with torch.no_grad():
            truth = self.hear(stretch.real)
        counted, sources = stretch.voiced if self.config.voiced else None, stretch.sources
        own = {layer: values[: len(stretch.real)] for layer, values in heard.items()}
        distance = self.distance(own, truth, self.config.layers, counted)
        if not sources:
            return distance, None
        theirs = {layer: values[len(stretch.real) :] for layer, values in heard.items()}
        source = {layer: values[sources] for layer, values in truth.items()}
        frames = None if counted is None else counted[sources]
        return distance, self.distance(theirs, source, self.config.across, frames)

    def distance(self, fake: Layers, real: Layers, names: Sequence[str], counted: Tensor | None = None) -> Tensor:
        """Mean distance in some layers, of every crop by itself.

        Args:
            fake: of a rendition, by name, (B, C, N).
            real: of the truth, or of the source of the rendition.
            names: of the layers.
            counted: (B, N) frames that count; all if not given. A crop without any is at distance 0.
        """
        measure = DISTANCES[self.config.distance]
        heard = fake[names[0]]
        counts = torch.ones_like(heard[:, :1]) if counted is None else counted.to(heard.dtype)[:, None]
        return torch.stack([measure(fake[name], real[name], counts).mean() for name in names]).mean()


def l1(fake: Tensor, real: Tensor, counts: Tensor) -> Tensor:
    """Σ|Δ| / Σ|real| (B,) of activations (B, C, N), over the frames (B, 1, N) that count."""
    return _sum((fake - real).abs() * counts) / _sum(real.abs() * counts).clamp_min(TINY)


def l2(fake: Tensor, real: Tensor, counts: Tensor) -> Tensor:
    """‖Δ‖ / ‖real‖ (B,) of activations (B, C, N), over the frames (B, 1, N) that count."""
    off, all_of_it = (_sum(part.square() * counts) for part in (fake - real, real))
    return ((off + TINY**2).sqrt() - TINY) / all_of_it.sqrt().clamp_min(TINY)  # finite slope at 0


def cosine(fake: Tensor, real: Tensor, counts: Tensor) -> Tensor:
    """Mean (B,) of 1 − cosine over the channels of activations (B, C, N), over the frames (B, 1, N) that count."""
    apart = 1 - torch.nn.functional.cosine_similarity(fake, real, dim=1, eps=TINY)[:, None]
    return _sum(apart * counts) / _sum(counts).clamp_min(1)


def _sum(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2))


DISTANCES = {"l1": l1, "l2": l2, "cosine": cosine}


def listeners(config: Config) -> dict[str, Listener]:
    """The listeners that a config gives any weight, by the names of their terms.

    Raises:
        WeightsError: the weights of one are not there, or damaged.
    """
    named: Mapping[str, ListenerConfig] = {name: getattr(config.perceptual, name) for name in LISTENERS}
    return {
        name: Listener(_encoder(knobs.encoder), knobs, config.sample_rate)
        for name, knobs in named.items()
        if getattr(config.loss, name) or getattr(config.loss, f"other_{name}")
    }


@lru_cache(maxsize=2)
def _encoder(name: str) -> Encoder:
    if name == "crepe-tiny":
        return crepe.load("tiny")
    return crepe.load("full") if name == "crepe-full" else content.load(name)
