"""The generator's objective: one dict of named terms, one weighted sum."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from svc.config import LossConfig
from svc.errors import ConfigError
from svc.losses.stft import spectral_loss


def weights(config: LossConfig, share: float = 1.0) -> dict[str, float]:
    """The weight of every term, of those that join at ``train.adversary_start`` a share."""
    shares = dict.fromkeys(("spectral", "repulsion"), 1.0)
    names = [field.name for field in dataclasses.fields(config) if field.name != "scales"]
    return {name: float(getattr(config, name)) * shares.get(name, share) for name in names}


def reconstruction_terms(
    *, fake: Tensor, real: Tensor, config: LossConfig, other: Tensor | None = None
) -> dict[str, Tensor]:
    """The terms that need the truth, for audio (B, T).

    ``spectral`` is the distance to the truth, the sum of both of its parts. ``repulsion``, if there is another
    rendition, is the distance to that, negative. Noise that nobody can foresee is best answered with less noise by the
    first alone; with both, as in an energy distance (Gritsenko et al. 2008.01160), with as much.

    Args:
        fake: a rendition.
        real: the truth.
        config: scales.
        other: the same with other noise, without gradient.
    """
    parts = spectral_loss(fake=fake, real=real, scales=config.scales, other=other)
    terms = {"spectral": parts["convergence"] + parts["log_magnitude"]}
    return terms if other is None else terms | {"repulsion": parts["repulsion"]}


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
