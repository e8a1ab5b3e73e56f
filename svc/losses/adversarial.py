"""Least-squares GAN (1611.04076) and feature matching (1512.09300, as in MelGAN)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from svc.models.discriminators import Judgement


def discriminator_loss(*, fake: list[Judgement], real: list[Judgement]) -> Tensor:
    """Mean over the views of E[(D(real) − 1)²] + E[D(fake)²]; 0 when every piece is told rightly."""
    views = [
        (truth - 1).square().mean() + guess.square().mean() for (guess, _), (truth, _) in zip(fake, real, strict=True)
    ]
    return torch.stack(views).mean()


def gradient_penalty(*, scores: list[Tensor], real: Tensor) -> Tensor:
    """½ E (∂D/∂sample)², the penalty R1 of Mescheder et al. 1801.04406 for a sample, with a gradient of its own.

    D is the sum over the pieces and the mean over the views, so that the length of the audio does not matter.

    Args:
        scores: of every view, of real audio that wants a gradient.
        real: (B, T).
    """
    total = torch.stack([view.sum() for view in scores]).mean()
    (gradient,) = torch.autograd.grad(total, real, create_graph=True)
    return 0.5 * gradient.square().mean()


def generator_loss(*, fake: list[Judgement]) -> Tensor:
    """Mean over the views of E[(D(fake) − 1)²]; 0 when every piece passes for real."""
    return torch.stack([(scores - 1).square().mean() for scores, _ in fake]).mean()


def feature_matching_loss(*, fake: list[Judgement], real: list[Judgement]) -> Tensor:
    """Mean over crops, views and layers of E|Δ activation| / E|real activation|: no layer outweighs another."""
    terms = [
        ((guess - truth).abs().flatten(1).mean(1) / truth.abs().flatten(1).mean(1).clamp_min(1e-5)).mean()
        for (_, guesses), (_, truths) in zip(fake, real, strict=True)
        for guess, truth in zip(guesses, truths, strict=True)
    ]
    return torch.stack(terms).mean()


@contextmanager
def frozen(network: nn.Module) -> Iterator[nn.Module]:
    """The network without gradients for its weights: the generator's step must not reach the discriminator's."""
    wanted = [(p, p.requires_grad) for p in network.parameters()]
    network.requires_grad_(False)
    try:
        yield network
    finally:
        for parameter, state in wanted:
            parameter.requires_grad_(state)
