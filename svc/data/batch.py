"""A batch of training segments: conditioning and audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from svc.features.conditioning import Conditioning
from svc.utils.hardware import copy_to


@dataclass(frozen=True, slots=True)
class Batch:
    """B segments of N frames.

    Attributes:
        conditioning: of the segments.
        audio: (B, N·hop) it was taken from.
        band: (B,) Hz, what the recording holds up to.
        other_speaker: (B,) index of the speaker of another random segment, to convert to.
    """

    conditioning: Conditioning
    audio: Tensor
    band: Tensor
    other_speaker: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device; the band stays on the CPU, so that comparing it is no host sync."""
        audio, other_speaker = copy_to(self.audio, device), copy_to(self.other_speaker, device)
        return Batch(self.conditioning.to(device), audio, self.band, other_speaker)

    def micro_batches(self, count: int) -> list[Batch]:
        """Split into ``count`` batches of equal size, for gradient accumulation."""
        size = len(self.audio) // count
        spans = [slice(number * size, (number + 1) * size) for number in range(count)]
        return [
            Batch(self.conditioning.select(span), self.audio[span], self.band[span], self.other_speaker[span])
            for span in spans
        ]

    @staticmethod
    def stack(items: Sequence[Batch]) -> Batch:
        """Concatenate batches of equal length; the collate function of the data loader."""
        conditioning = Conditioning.stack([item.conditioning for item in items])
        audio, band = torch.cat([item.audio for item in items]), torch.cat([item.band for item in items])
        return Batch(conditioning, audio, band, torch.cat([item.other_speaker for item in items]))
