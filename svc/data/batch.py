"""A batch of training segments: conditioning and audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from svc.features.conditioning import Conditioning


@dataclass(frozen=True, slots=True)
class Batch:
    """Conditioning of N frames, the audio (B, N·hop) it was taken from, and what its recording holds up to: (B,) Hz."""

    conditioning: Conditioning
    audio: Tensor
    band: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device; the band stays on the CPU, so that comparing it is no host sync."""
        return Batch(self.conditioning.to(device), self.audio.to(device), self.band)

    def micro_batches(self, count: int) -> list[Batch]:
        """Split into ``count`` batches of equal size, for gradient accumulation."""
        size = len(self.audio) // count
        spans = [slice(number * size, (number + 1) * size) for number in range(count)]
        return [Batch(self.conditioning.select(span), self.audio[span], self.band[span]) for span in spans]

    @staticmethod
    def stack(items: Sequence[Batch]) -> Batch:
        """Concatenate batches of equal length; the collate function of the data loader."""
        conditioning = Conditioning.stack([item.conditioning for item in items])
        audio, band = torch.cat([item.audio for item in items]), torch.cat([item.band for item in items])
        return Batch(conditioning, audio, band)
