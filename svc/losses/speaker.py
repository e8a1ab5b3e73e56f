"""Speaker loss: cosine distance of speaker embeddings to the speaker's centroid (GE2E, 1710.10467).

It needs no recording of what was generated, so it also applies to converted audio. ``svc evaluate`` uses the encoder
``ge2e`` by default: evaluate a voice that was trained with that by another one (CAM++).
"""

from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.transforms import Resample

from svc.encoders.base import Encoder
from svc.losses.perceptual import INPUT_RMS, LossInputs

EPS = 1e-6


class SpeakerLoss:
    """Cosine distance of the embedding of generated audio to the centroid of its speaker.

    Attributes:
        encoder: its layer ``embedding`` (B, D, 1) holds unit vectors.
        segment_seconds: length of the window of each segment that it gets.
        centroids: (S, D) of the speakers, unit vectors.
    """

    def __init__(self, encoder: Encoder, enrolment: Iterable[tuple[Tensor, Tensor]], seconds: float, rate: int) -> None:
        """Compute the centroids.

        Args:
            encoder: of speaker embeddings.
            enrolment: for each speaker audio (K, T) at unit power, and a weight (K,) for each row.
            seconds: length of the window of each segment in training.
            rate: Hz of all audio.
        """
        self.encoder, self.segment_seconds = encoder, seconds
        self._resample = Resample(rate, encoder.sample_rate)
        with torch.no_grad():
            self.centroids = torch.stack([centroid(self.embed(audio), weights) for audio, weights in enrolment])

    def to(self, device: torch.device | str) -> Self:
        """Move it to a device."""
        self.encoder.to(device)
        self._resample.to(device)
        self.centroids = self.centroids.to(device)
        return self

    def embed(self, audio: Tensor) -> Tensor:
        """Speaker embeddings (B, D), unit vectors, of audio (B, T) at unit power.

        They depend on the level. At ``INPUT_RMS`` twelve speakers were separated better than at the −30 dBFS to which
        Resemblyzer's own preprocessing raises softer audio.
        """
        return self.encoder(self._resample(INPUT_RMS * audio))["embedding"][..., 0]

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, Tensor | None]:
        """Mean of 1 − cosine to the centroid of the speaker, of reconstructed and of converted segments.

        The target of a mix of speakers is the same mix of their centroids.
        """
        target = functional.normalize(inputs.speaker @ self.centroids, dim=-1, eps=EPS)
        distance = 1 - (self.embed(inputs.fake) * target).sum(dim=-1)
        size = len(inputs.real)
        return distance[:size].mean(), distance[size:].mean() if inputs.converted_from else None


def centroid(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Direction (D,) of the weighted mean of embeddings (K, D) by weights (K,)."""
    return functional.normalize(weights @ embeddings, dim=0, eps=EPS)
