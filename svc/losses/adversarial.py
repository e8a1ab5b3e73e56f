"""Least-squares GAN losses (LSGAN, 1611.04076) and feature matching (1512.09300, as in MelGAN)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from svc.models.discriminators import DiscriminatorOutput

EPS = 1e-5  # mean magnitude of an activation, at least


def discriminator_loss(*, fake: list[DiscriminatorOutput], real: list[DiscriminatorOutput]) -> Tensor:
    """Discriminator loss: mean over the views of E[(D(real) − 1)²] + E[D(fake)²]; 0 is perfect, ½ is chance."""
    views = [
        (real_scores - 1).square().mean() + fake_scores.square().mean()
        for (fake_scores, _), (real_scores, _) in zip(fake, real, strict=True)
    ]
    return torch.stack(views).mean()


def generator_loss(*, fake: list[DiscriminatorOutput]) -> Tensor:
    """Adversarial loss of the generator: mean over the views of E[(D(fake) − 1)²]."""
    return torch.stack([(scores - 1).square().mean() for scores, _ in fake]).mean()


def feature_matching_loss(*, fake: list[DiscriminatorOutput], real: list[DiscriminatorOutput]) -> Tensor:
    """Feature-matching loss: mean over segments, views and layers of E|Δ activation| / E|real activation|."""
    losses = [
        ((fake_layer - real_layer).abs().flatten(1).mean(1) / real_layer.abs().flatten(1).mean(1).clamp_min(EPS)).mean()
        for (_, fake_layers), (_, real_layers) in zip(fake, real, strict=True)
        for fake_layer, real_layer in zip(fake_layers, real_layers, strict=True)
    ]
    return torch.stack(losses).mean()


@contextmanager
def frozen(network: nn.Module) -> Iterator[nn.Module]:
    """Freeze the weights of a network: the generator's backward pass leaves no gradients in the discriminator."""
    network.requires_grad_(False)
    try:
        yield network
    finally:
        network.requires_grad_(True)
