"""The generator's objective: one dict of named terms, one weighted sum."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from svc.config import LossConfig
from svc.errors import ConfigError
from svc.losses.spectral import spectral_loss


def weights(config: LossConfig) -> dict[str, float]:
    """The weight of every term; a term of weight 0 is measured, not trained."""
    return {f.name: float(getattr(config, f.name)) for f in dataclasses.fields(config) if f.name != "scales"}


def reconstruction_terms(*, fake: Tensor, real: Tensor, config: LossConfig) -> dict[str, Tensor]:
    """The term that needs the truth: ``spectral``, the sum of both of its parts, for audio (B, T)."""
    parts = spectral_loss(fake=fake, real=real, scales=config.scales)
    return {"spectral": parts["convergence"] + parts["log_magnitude"]}


def weighted_sum(terms: Mapping[str, Tensor], weight: Mapping[str, float]) -> Tensor:
    """Σ weight · term over the terms that train.

    Raises:
        ConfigError: a term has no weight; a misspelt name must not drop a loss.
    """
    unknown = sorted(terms.keys() - weight.keys())
    if unknown:
        raise ConfigError(f"loss: no weight for the terms {', '.join(unknown)}")
    trained = [weight[name] * term for name, term in terms.items() if weight[name] > 0]
    return torch.stack(trained).sum() if trained else torch.zeros((), requires_grad=True)
