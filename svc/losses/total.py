"""Total loss of the generator: the weights of all losses, and the weighted sum."""

from collections.abc import Mapping

import torch
from torch import Tensor

from svc.config import Config
from svc.errors import ConfigError


def loss_weights(config: Config, ramp: float = 1.0) -> dict[str, float]:
    """Weight of every loss by its name; ``ramp`` (0–1) scales those that start at ``train.adversarial_start_step``.

    The loss ``NAME`` on converted segments is called ``conversion/NAME``.
    """
    loss = config.loss
    weights = {
        "adversarial": loss.adversarial,
        "feature_matching": loss.feature_matching,
        "conversion/adversarial": loss.conversion.adversarial,
        "speaker": loss.speaker.weight,
        "conversion/speaker": loss.speaker.conversion_weight,
    }
    for name, options in config.perceptual.items():
        weights |= {name: options.weight, f"conversion/{name}": options.conversion_weight}
    weights = {name: ramp * weight for name, weight in weights.items()}
    weights |= {"spectral": loss.spectral, "energy_repulsion": loss.energy_repulsion}
    envelope = float(config.train.synthesis_start_step > 0)
    return weights | {
        "envelope": envelope,
        "aperiodicity": envelope * loss.aperiodicity,
        "conversion/envelope_phones": loss.conversion.envelope_phones,
        "conversion/envelope_speaker": loss.conversion.envelope_speaker,
    }


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Σ weight · loss over the losses with a weight above 0.

    Raises:
        ConfigError: a loss has no weight; a misspelt name must not drop it.
    """
    unknown = sorted(losses.keys() - weights.keys())
    if unknown:
        raise ConfigError(f"loss: no weight for {', '.join(unknown)}")
    trained = [weights[name] * loss for name, loss in losses.items() if weights[name] > 0]
    return torch.stack(trained).sum() if trained else torch.zeros((), requires_grad=True)
