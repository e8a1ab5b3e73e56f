"""Speaker loss of converted envelopes: whom a speaker encoder hears in them, without synthesising audio."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc import encoders
from svc.audio.stft import linear_interpolation
from svc.encoders.speaker_encoder import FFT, SAMPLE_RATE, SpeakerEncoder, normalise
from svc.features.conditioning import Conditioning
from svc.losses.envelope import total_envelope
from svc.losses.speaker import EPS, centroid


class EnvelopeSpeakerLoss(nn.Module):
    """Cosine distance of the speaker encoder's embedding of converted envelopes to the centroid of their speaker.

    The phone loss keeps envelopes near those of the source, and with them a part of its voice; this loss pulls them to
    the target. The enrolment is by envelopes too.

    Args:
        enrolment: for each speaker log amplitude envelopes (K, N, P) of recordings, and a weight (K,) for each.
        points: P of the envelopes, 0 Hz to Nyquist.
        sample_rate: Hz of the audio.
    """

    def __init__(self, enrolment: Iterable[tuple[Tensor, Tensor]], points: int, sample_rate: int):
        super().__init__()
        self.encoder = cast("SpeakerEncoder", encoders.load("speaker"))
        position = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1) / (sample_rate / 2) * (points - 1)
        self.register_buffer("interpolation", linear_interpolation(points, position), persistent=False)
        self.interpolation: Tensor
        with torch.no_grad():
            centroids = [centroid(self.embed(envelopes), weights) for envelopes, weights in enrolment]
        self.register_buffer("centroids", torch.stack(centroids), persistent=False)
        self.centroids: Tensor

    def embed(self, envelopes: Tensor) -> Tensor:
        """Embeddings (B, 128), unit vectors, of log amplitude envelopes (B, N, P) in nepers at any level."""
        peak = envelopes.amax(dim=(1, 2), keepdim=True)
        power = torch.exp(2 * (envelopes - peak) @ self.interpolation) @ self.encoder.bank
        embedding: Tensor = self.encoder.model(normalise(power))
        return embedding

    def forward(self, envelopes: Tensor, conditioning: Conditioning, source: Tensor) -> Tensor:  # noqa: ARG002
        """Mean of 1 − cosine; the target of a mix of speakers is the same mix of their centroids.

        Args:
            envelopes: converted log envelopes (B, N, 2, P).
            conditioning: of the conversions.
            source: (B, T) audio that was converted, which the loss does not need.
        """
        target = functional.normalize(conditioning.speaker @ self.centroids, dim=-1, eps=EPS)
        return 1 - (self.embed(total_envelope(envelopes, conditioning)) * target).sum(dim=-1).mean()
