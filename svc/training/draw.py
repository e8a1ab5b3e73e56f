"""All that is drawn at random in a step: who else sings what, and which stretches the networks hear."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from svc.conditioning import Conditioning
from svc.config import Config, OthersConfig
from svc.data.batch import Batch

ELSEWHERE = 2**31  # frames on, where no crop starts
QUIETEST = 1e-3  # level of a crop that is made louder for a network; below is silence
DISCRIMINATOR = "discriminator"


@dataclass(frozen=True, slots=True)
class Part:
    """Crops, and what is to be done with them.

    Attributes:
        audio: (B, T) the truth.
        asked: what the generator is to sing, (B + K): the crops, and K of them by other singers.
        again: the crops once more, with other noise and pulses at other times, if that is wanted.
        places: samples of every crop that a network hears, by its name.
    """

    audio: Tensor
    asked: Conditioning
    again: Conditioning | None
    places: Mapping[str, slice]

    @property
    def others(self) -> int:
        """K."""
        return len(self.asked.singer) - len(self.audio)

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
        level = real.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(QUIETEST)
        return fake / torch.cat([level, level[: self.others]]), real / level


def draw(batch: Batch, config: Config, listeners: Mapping[str, float] | None) -> Part:
    """Draw a part from torch's own generator of random numbers.

    Args:
        batch: crops.
        config: who else is to sing, and whether once more.
        listeners: seconds that each network hears besides the discriminator; none at all if only reconstruction counts.
    """
    conditioning, samples = batch.conditioning, batch.audio.shape[1]
    others = sung_by_others(conditioning, config.others) if listeners is not None else None
    again = once_more(conditioning) if config.loss.repulsion else None
    wanted: Iterable[tuple[str, float]] = ()
    if listeners is not None:
        wanted = [(DISCRIMINATOR, config.train.adversary_crop), *listeners.items()]
    return Part(
        audio=batch.audio,
        asked=conditioning if others is None else Conditioning.stack([conditioning, others]),
        again=again,
        places={
            name: _place(samples, config.heard_frames(seconds) * config.hop, config.hop) for name, seconds in wanted
        },
    )


def sung_by_others(conditioning: Conditioning, config: OthersConfig) -> Conditioning | None:
    """The first crops of a batch as somebody else is to sing them, one or a mix of two; none if nobody is.

    A mix is of two others; where only two singers are known, of the other and the crop's own.
    """
    batch, singers = conditioning.singer.shape
    if not config.share or singers < 2:
        return None
    count = max(1, round(config.share * batch))
    first = conditioning.items(0, count)
    own = first.singer.argmax(dim=-1)
    other = (own + torch.randint(1, singers, (count,)).to(own)) % singers
    second = _neither(own, other, singers) if singers > 2 else own
    share = torch.distributions.Beta(config.alpha, config.alpha).sample((count,))
    share = torch.where(torch.rand(count) < config.mixed, share, torch.ones(count)).to(first.singer)[:, None]
    mixed = share * functional.one_hot(other, singers) + (1 - share) * functional.one_hot(second, singers)
    return once_more(first.with_singer(mixed))


def _neither(one: Tensor, other: Tensor, singers: int) -> Tensor:
    """Somebody who is neither of two, for each pair (K,)."""
    found = torch.randint(singers - 2, one.shape).to(one)
    found = found + (found >= torch.minimum(one, other))
    return found + (found >= torch.maximum(one, other))


def once_more(conditioning: Conditioning) -> Conditioning:
    """The same, with other noise and pulses at other times."""
    turn = torch.rand(len(conditioning.phase), 1, device=conditioning.phase.device)
    return replace(conditioning, start=conditioning.start + ELSEWHERE, phase=(conditioning.phase + turn) % 1.0)


def _place(samples: int, length: int, hop: int) -> slice:
    first = int(torch.randint((samples - length) // hop + 1, ())) * hop
    return slice(first, first + length)
