"""Virtual speakers: targets of conversions in training, other speakers or mixes of two (mixup of embeddings)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from svc.config import VirtualSpeakersConfig
from svc.features.conditioning import Conditioning
from svc.utils.hardware import copy_to


class SpeakerDraw(NamedTuple):
    """Random numbers for G segments and S speakers."""

    phase_offset: Tensor  # (G,) cycles, of the second sample of a segment
    conversion_phase_offset: Tensor  # (G,) cycles, of its conversion
    target_offset: Tensor  # (G,) index of a target speaker relative to the segment's own, 1 to S − 1
    mix_partner: Tensor  # (G,) index of the second speaker of a mix, 0 to S − 3, among those who are neither
    mix_weight: Tensor  # (G,) weight of the target in the mix; 1 without a mix

    def select(self, segments: slice | list[int]) -> "SpeakerDraw":
        """The draws of some of the segments."""
        return SpeakerDraw(*(numbers[segments] for numbers in self))


def sample_speakers(count: int, speakers: int, config: VirtualSpeakersConfig) -> SpeakerDraw:
    """Draw for all segments of a step from torch's global random number generator."""
    weight = torch.distributions.Beta(config.mixup_alpha, config.mixup_alpha).sample((count,))
    return SpeakerDraw(
        phase_offset=torch.rand(count),
        conversion_phase_offset=torch.rand(count),
        target_offset=torch.randint(1, max(2, speakers), (count,)),
        mix_partner=torch.randint(max(1, speakers - 2), (count,)),
        mix_weight=torch.where(torch.rand(count) < config.mixup_fraction, weight, torch.ones(count)),
    )


def evenly_spaced(share: float, count: int) -> list[int]:
    """Indices of a share of ``count`` items, spread as evenly as possible: 0.25 of 8 are 3 and 7.

    If the share of every micro-batch is a whole number, those of the micro-batches together are those of the batch.
    """
    before = [int(number * share + 1e-6) for number in range(count + 1)]
    return [number for number in range(count) if before[number + 1] > before[number]]


def with_other_speakers(conditioning: Conditioning, other: Tensor, draw: SpeakerDraw) -> Conditioning:
    """Conditioning of conversions to another speaker, or to a virtual one: a mix of two.

    The two are neither the segment's own speaker; if there are only two speakers, one of them is.

    Args:
        conditioning: of K segments.
        other: (K,) index of the speaker to convert to; where it is the segment's own, one is drawn evenly.
        draw: random numbers for the K segments.
    """
    speakers, own = conditioning.speaker.shape[1], conditioning.speaker.argmax(dim=-1)
    draw = SpeakerDraw(*(copy_to(numbers, own.device) for numbers in draw))
    target = torch.where(other == own, (own + draw.target_offset) % speakers, other)
    partner = _skip_two(own, target, draw.mix_partner) if speakers > 2 else own
    weight = draw.mix_weight[:, None]
    mix = weight * functional.one_hot(target, speakers) + (1 - weight) * functional.one_hot(partner, speakers)
    return conditioning.with_speaker(mix).with_new_noise(draw.conversion_phase_offset)


def _skip_two(first: Tensor, second: Tensor, index: Tensor) -> Tensor:
    """Map indices (K,) that count all speakers but ``first`` and ``second`` to indices that count all."""
    index = index + (index >= torch.minimum(first, second))
    return index + (index >= torch.maximum(first, second))
