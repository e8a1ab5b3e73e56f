"""An exponential moving average of weights, which is what is heard."""

import copy

import torch
from torch import nn


def shadow(network: nn.Module) -> nn.Module:
    """A copy that does not train."""
    return copy.deepcopy(network).requires_grad_(False).eval()


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network; early steps count more, so that it does not start from noise."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight, share)
