"""Whose voice it is: a speaker encoder hears how near a rendition is to all that its singer is known by.

The cosine to a centre tells every crop whose it should be, also one that another singer sang, of which there is no
truth. ``svc evaluate`` names singers by the same network unless told otherwise, and a voice trained with this loss has
learnt to please it: judge such a voice by another, as by ``--identity ecapa``.
"""

from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.transforms import Resample

from svc.encoders.ge2e import Speaker
from svc.losses.perceptual import LEVEL, Stretch

TINY = 1e-6


class IdentityListener:
    """A frozen network that knows singers.

    Attributes:
        encoder: audio (B, T) in, unit vectors (B, D) out.
        seconds: of each crop that it hears.
        centres: (S, D) where each singer is, unit vectors.
    """

    def __init__(self, encoder: Speaker, enrolment: Iterable[tuple[Tensor, Tensor]], seconds: float, rate: int) -> None:
        """Hears every singer once.

        Args:
            encoder: whose audio has a rate of its own.
            enrolment: of every singer stretches (K, T) at unit power, and how much each counts (K,).
            seconds: of each crop to hear.
            rate: Hz of all audio.
        """
        self.encoder, self.seconds = encoder, seconds
        self._resample = Resample(rate, encoder.sample_rate)
        with torch.no_grad():
            self.centres = torch.stack([centre(self.embed(audio), counts) for audio, counts in enrolment])

    def to(self, device: torch.device | str) -> Self:
        """Itself, on a device."""
        self.encoder.to(device)
        self._resample.to(device)
        self.centres = self.centres.to(device)
        return self

    def embed(self, audio: Tensor) -> Tensor:
        """Unit vectors (B, D) of audio (B, T) at unit power.

        They depend on the level. At this one twelve singers were told apart better than at the −30 dBFS up to which
        Resemblyzer's own preparation raises what is softer.
        """
        return self.encoder(self._resample(LEVEL * audio))

    def judge(self, stretch: Stretch) -> tuple[Tensor, Tensor | None]:
        """Mean of 1 − cosine to the centre of who was asked for: of renditions of the crops, and of those by others.

        A mix of singers is held against the same mix of their centres.
        """
        wanted = functional.normalize(stretch.singer @ self.centres, dim=-1, eps=TINY)
        apart = 1 - (self.embed(stretch.fake) * wanted).sum(dim=-1)
        crops = len(stretch.real)
        return apart[:crops].mean(), apart[crops:].mean() if stretch.sources else None


def centre(embeddings: Tensor, counts: Tensor) -> Tensor:
    """Direction (D,) of the mean of embeddings (K, D), each of which counts for so much (K,)."""
    return functional.normalize(counts @ embeddings, dim=0, eps=TINY)
