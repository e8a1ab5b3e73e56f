"""Total loss of the generator: one dict of losses, their weights, and the weighted sum."""

from collections.abc import Mapping

import torch
from torch import Tensor

from svc.config import Config, LossConfig
from svc.errors import ConfigError
from svc.losses.stft import multi_resolution_stft_loss


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
    return weights | {"spectral": loss.spectral, "energy_repulsion": loss.energy_repulsion}


def reconstruction_losses(
    *, fake: Tensor, real: Tensor, config: LossConfig, fake2: Tensor | None = None
) -> dict[str, Tensor]:
    """Spectral losses of audio (B, T), which need the real audio.

    ``spectral`` is the multi-resolution STFT loss, the sum of its parts. With ``fake2`` the generalised energy
    distance (Gritsenko et al. 2008.01160) adds −E‖X − X′‖, ``energy_repulsion``: without it the generator
    under-produces noise.

    Args:
        fake: output of the generator.
        real: recorded audio.
        config: scales.
        fake2: second sample with other noise, without gradient.
    """
    losses = multi_resolution_stft_loss(fake=fake, real=real, scales=config.scales, fake2=fake2)
    spectral = {"spectral": losses["convergence"] + losses["log_magnitude"]}
    return spectral if fake2 is None else spectral | {"energy_repulsion": losses["energy_repulsion"]}


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
