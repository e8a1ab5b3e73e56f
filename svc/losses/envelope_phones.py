"""Phone loss of converted envelopes: what a phone classifier sees in them, without synthesising audio."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc import encoders
from svc.audio.stft import linear_interpolation
from svc.encoders.phone_classifier import FFT, FLOOR, MEAN, SAMPLE_RATE, SPREAD, WINDOW, PhoneEncoder
from svc.features.conditioning import Conditioning
from svc.features.content import ACTIVE, LEVEL
from svc.losses.envelope import NEPERS_PER_DB, spectral_envelope, total_envelope
from svc.utils.units import hop_samples

NOISE_POWER = 6 / WINDOW  # that ``power_spectrogram`` reads in a bin of white noise of unit power


class EnvelopePhoneLoss(nn.Module):
    """Cosine distance of the phone classifier's embeddings of converted envelopes and of the source's envelope.

    A speaker's envelopes are learnt for the phones of the own recordings alone; the loss keeps those of other languages
    what they are. Both sides are envelopes, so that the harmonics, which neither has, count for nothing.

    Args:
        points: P of the envelopes, 0 Hz to Nyquist.
        sample_rate: Hz of the audio.
    """

    def __init__(self, points: int, sample_rate: int):
        super().__init__()
        self.encoder = cast("PhoneEncoder", encoders.load("phone-classifier"))
        self.hop = hop_samples(sample_rate)
        position = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1) / (sample_rate / 2) * (points - 1)
        self.register_buffer("interpolation", linear_interpolation(points, position), persistent=False)
        self.interpolation: Tensor

    def forward(self, envelopes: Tensor, conditioning: Conditioning, source: Tensor) -> Tensor:
        """Mean over the active frames.

        Args:
            envelopes: converted log envelopes (B, N, 2, P).
            conditioning: of the conversions.
            source: (B, T) audio that was converted.
        """
        with torch.no_grad():
            target = spectral_envelope(source, conditioning.f0, self.hop, envelopes.shape[-1])
            expected = self._embed(target, conditioning.loudness)
            loudest = conditioning.loudness.amax(dim=-1, keepdim=True)
            active = (conditioning.loudness > loudest - ACTIVE).float()
        embedded = self._embed(total_envelope(envelopes, conditioning), conditioning.loudness)
        distance = 1 - functional.cosine_similarity(embedded, expected, dim=-1)
        return (distance * active).sum() / active.sum()

    def _embed(self, envelopes: Tensor, loudness: Tensor) -> Tensor:
        """Embeddings (B, N, 64) of log amplitude envelopes (B, N, P) in nepers, their loudest frame at −20 dB."""
        gain = (LEVEL - loudness.amax(dim=-1))[:, None, None] * NEPERS_PER_DB
        power = NOISE_POWER * torch.exp(2 * (envelopes @ self.interpolation + gain))
        spectrum = (torch.log(power @ self.encoder.bank + FLOOR) - MEAN) / SPREAD
        embedding: Tensor = self.encoder.model(spectrum)[1]
        return embedding
