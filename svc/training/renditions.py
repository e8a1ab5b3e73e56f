"""What else is sung of a batch, besides what there is a truth of."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.conditioning import Conditioning
from svc.config import OthersConfig

ELSEWHERE = 2**31  # frames on, where no crop starts


@torch.no_grad()
def another_rendition(generator: nn.Module, conditioning: Conditioning, refine: bool) -> Tensor:
    """The same sung once more, with other noise and pulses at other times."""
    rendition: Tensor = generator(_once_more(conditioning), refine)
    return rendition


def sung_by_others(conditioning: Conditioning, config: OthersConfig) -> Conditioning | None:
    """The first crops of a batch as somebody else is to sing them, one or a mix of two; none if nobody is."""
    batch, singers = conditioning.singer.shape
    if not config.share or singers < 2:
        return None
    count = max(1, round(config.share * batch))
    first = conditioning.first(count)
    own = first.singer.argmax(dim=-1)
    other = (own + torch.randint(1, singers, (count,)).to(own)) % singers
    second = torch.randint(singers, (count,)).to(own)
    share = torch.distributions.Beta(config.alpha, config.alpha).sample((count,))
    share = torch.where(torch.rand(count) < config.mixed, share, torch.ones(count)).to(first.singer)[:, None]
    mixed = share * functional.one_hot(other, singers) + (1 - share) * functional.one_hot(second, singers)
    return _once_more(first.with_singer(mixed))


def _once_more(conditioning: Conditioning) -> Conditioning:
    turn = torch.rand(len(conditioning.phase), 1, device=conditioning.phase.device)
    return replace(conditioning, start=conditioning.start + ELSEWHERE, phase=(conditioning.phase + turn) % 1.0)
