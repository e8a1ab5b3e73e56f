"""What a step is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from svc.features.conditioning import Conditioning

ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Batch:
    """Conditioning of N frames and the audio (B, N·hop) it was taken from."""

    conditioning: Conditioning
    audio: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(self.conditioning.to(device), self.audio.to(device))

    def parts(self, count: int) -> list[Batch]:
        """As many batches of equal size, one after the other."""
        size = len(self.audio) // count
        places = [slice(number * size, (number + 1) * size) for number in range(count)]
        return [Batch(self.conditioning.items(place), self.audio[place]) for place in places]

    @staticmethod
    def stack(items: Sequence[Batch]) -> Batch:
        """Batches of equal length as one."""
        return Batch(Conditioning.stack([i.conditioning for i in items]), torch.cat([i.audio for i in items]))


def spread(share: float, count: int) -> list[int]:
    """A share of so many crops, as evenly as it goes: 0.25 of 8 are 3 and 7.

    If that is a whole number for the parts of a batch, too, those of the parts are together those of the batch.
    """
    return [number for number in range(count) if int((number + 1) * share + ROUNDING) > int(number * share + ROUNDING)]
