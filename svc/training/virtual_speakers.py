"""All that is drawn at random in a step: who else sings what, and which stretches the networks hear.

What is drawn for a crop depends on its place in the whole batch of the step, not on the process or the part it is in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from svc.config import Config, OthersConfig
from svc.data.batch import Batch, evenly_spaced
from svc.features.conditioning import Conditioning
from svc.losses.perceptual import LossInputs

ELSEWHERE = 2**31  # frames on, where no crop starts
QUIETEST = 1e-3  # level of a crop that is made louder for a network; below is silence
DISCRIMINATOR = "discriminator"


@dataclass(frozen=True, slots=True)
class Chance:
    """What was drawn for G crops among S singers.

    Attributes:
        turn: (G,) cycles by which the pulses come later when a crop is sung once more.
        other_turn: (G,) likewise when somebody else sings it.
        other: (G,) who that is: 1 to S − 1, counted on from the crop's own singer.
        second: (G,) with whom that one is mixed: 0 to S − 3, counted among those who are neither.
        share: (G,) of the former in the mix; 1 if there is none.
    """

    turn: Tensor
    other_turn: Tensor
    other: Tensor
    second: Tensor
    share: Tensor

    def of(self, crops: slice | list[int]) -> "Chance":
        """What was drawn for some crops."""
        return Chance(**{f.name: getattr(self, f.name)[crops] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Part:
    """Crops, and what is to be done with them.

    Attributes:
        audio: (B, T) the truth.
        asked: what the generator is to sing, (B + K): the crops, and K of them by other singers.
        sources: which crops those are.
        again: the crops once more, with other noise and pulses at other times, if that is wanted.
        places: samples of every crop that a network hears, by its name.
    """

    audio: Tensor
    asked: Conditioning
    sources: list[int]
    again: Conditioning | None
    places: Mapping[str, slice]

    def voiced(self, network: str) -> Tensor:
        """Which frames (B, N) of what a network hears have a pitch."""
        hop = self.audio.shape[1] // self.asked.frames
        place = self.places[network]
        return self.asked.voiced[: len(self.audio), place.start // hop : place.stop // hop] > 0

    def heard(self, sung: Tensor, network: str) -> tuple[Tensor, Tensor]:
        """What a network hears of renditions (B + K, T) and of the truth, at the level that gives that unit power.

        At the level of a recording, the discriminator hears little but its own biases and stays at chance.
        """
        fake, real = sung[:, self.places[network]], self.audio[:, self.places[network]]
        level = level_of(real)
        return fake / torch.cat([level, level[self.sources]]), real / level

    def stretch(self, sung: Tensor, listener: str) -> LossInputs:
        """The same for a listener, and what it may hold that against."""
        fake, real = self.heard(sung, listener)
        return LossInputs(fake, real, self.sources, self.asked.speaker, self.voiced(listener))


def level_of(audio: Tensor) -> Tensor:
    """Level (B, 1) of audio (B, T): divided by it, networks hear it at unit power; silence is not made loud."""
    return audio.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(QUIETEST)


def draw(
    batch: Batch, config: Config, listeners: Mapping[str, float] | None, rank: int = 0, world: int = 1
) -> list[Part]:
    """Draw the parts of a step from torch's own generator of random numbers.

    Args:
        batch: the crops of this process.
        config: how many parts, who else is to sing, and whether once more.
        listeners: seconds that each network hears besides the discriminator; none at all if only reconstruction counts.
        rank: of the process.
        world: processes that share the batch of the step equally.
    """
    count, samples = batch.audio.shape
    chance = _chance(count * world, batch.conditioning.speaker.shape[1], config.others)
    wanted = {} if listeners is None else {DISCRIMINATOR: config.train.adversary_crop, **listeners}
    lengths = {name: config.clamp_to_segment(seconds) * config.hop for name, seconds in wanted.items()}
    places = {name: _place(samples, length, config.hop) for name, length in lengths.items()}
    crops, size = batch.micro_batches(config.train.accumulate), count // config.train.accumulate
    firsts = [rank * count + number * size for number in range(len(crops))]
    make = partial(_part, places=places, config=config, others=listeners is not None)
    return [make(part, chance.of(slice(first, first + size))) for part, first in zip(crops, firsts, strict=True)]


def _chance(count: int, singers: int, config: OthersConfig) -> Chance:
    share = torch.distributions.Beta(config.alpha, config.alpha).sample((count,))
    return Chance(
        turn=torch.rand(count),
        other_turn=torch.rand(count),
        other=torch.randint(1, max(2, singers), (count,)),
        second=torch.randint(max(1, singers - 2), (count,)),
        share=torch.where(torch.rand(count) < config.mixed, share, torch.ones(count)),
    )


def _part(batch: Batch, chance: Chance, *, places: Mapping[str, slice], config: Config, others: bool) -> Part:
    told = batch.conditioning
    alone = told.speaker.shape[1] < 2
    sources = [] if alone or not others else evenly_spaced(config.others.share, len(batch.audio))
    asked = Conditioning.stack([told, sung_by_others(told.select(sources), chance.of(sources))]) if sources else told
    again = once_more(told, chance.turn) if config.loss.repulsion else None
    return Part(batch.audio, asked, sources, again, places)


def sung_by_others(conditioning: Conditioning, chance: Chance) -> Conditioning:
    """Crops as somebody else is to sing them, one or a mix of two.

    A mix is of two others; where only two singers are known, of the other and the crop's own.
    """
    singers, own = conditioning.speaker.shape[1], conditioning.speaker.argmax(dim=-1)
    chance = Chance(**{f.name: getattr(chance, f.name).to(own.device) for f in fields(chance)})
    other = (own + chance.other) % singers
    second = _neither(own, other, chance.second) if singers > 2 else own
    share = chance.share[:, None]
    mixed = share * functional.one_hot(other, singers) + (1 - share) * functional.one_hot(second, singers)
    return once_more(conditioning.with_speaker(mixed), chance.other_turn)


def _neither(one: Tensor, other: Tensor, which: Tensor) -> Tensor:
    """Which of those, (K,), who are neither of two."""
    found = which + (which >= torch.minimum(one, other))
    return found + (found >= torch.maximum(one, other))


def once_more(conditioning: Conditioning, turn: Tensor) -> Conditioning:
    """The same, with other noise and pulses later by so many cycles (B,)."""
    phase = (conditioning.phase + turn.to(conditioning.phase.device)[:, None]) % 1.0
    return replace(conditioning, start_frame=conditioning.start_frame + ELSEWHERE, phase=phase)


def _place(samples: int, length: int, hop: int) -> slice:
    first = int(torch.randint((samples - length) // hop + 1, ())) * hop
    return slice(first, first + length)
