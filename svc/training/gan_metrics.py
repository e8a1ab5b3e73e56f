"""GAN metrics on validation clips: accuracy of the discriminator, and level of what the WaveNet adds."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from svc.audio.levels import level_by_band
from svc.config import Config
from svc.losses.adversarial import discriminator_loss
from svc.models.discriminators import Discriminator
from svc.training.validation import ValidationOutput
from svc.training.virtual_speakers import rms_level

AT_CHANCE = 0.6  # accuracy of the discriminator on held-out segments, ½ is chance
IDLE_DB = -25.0  # level of the WaveNet's part, relative to the output, below which in every band it is inaudible


@torch.no_grad()
def discriminator_metrics(
    discriminator: Discriminator, outputs: Sequence[ValidationOutput], config: Config
) -> dict[str, float]:
    """Accuracy and loss of the discriminator on segments that it was not trained on.

    Args:
        discriminator: unwrapped.
        outputs: reconstructions of held-out clips.
        config: length of the segments.

    Returns:
        ``discriminator_accuracy``, the share of views and clips in which the middle segment of the clip has a higher
        mean score than its reconstruction, and ``discriminator_loss``; empty without clips.
    """
    device = next(discriminator.parameters()).device
    wins, losses = [], []
    for output in outputs:
        real, fake = _middle_segments(output, config)
        level = rms_level(real)
        real_out, fake_out = discriminator((real / level).to(device)), discriminator((fake / level).to(device))
        wins += [float(r.mean() > f.mean()) for (r, _), (f, _) in zip(real_out, fake_out, strict=True)]
        losses.append(float(discriminator_loss(fake=fake_out, real=real_out)))
    if not outputs:
        return {}
    return {"discriminator_accuracy": float(np.mean(wins)), "discriminator_loss": float(np.mean(losses))}


def wavenet_levels(
    outputs: Sequence[ValidationOutput], without_wavenet: Sequence[ValidationOutput], sample_rate: int
) -> dict[str, float]:
    """Level of the WaveNet's part relative to the output, ``wavenet_0-1kHz`` and so on: mean over clips in dB.

    Args:
        outputs: of the whole generator.
        without_wavenet: the same clips by the source–filter stage alone.
        sample_rate: Hz.
    """
    levels: dict[str, list[float]] = {}
    for whole, alone in zip(outputs, without_wavenet, strict=True):
        part = whole.reconstruction - alone.reconstruction
        for band, level in level_by_band(part.numpy(), whole.reconstruction.numpy(), sample_rate).items():
            if math.isfinite(level):
                levels.setdefault(f"wavenet_{band}kHz", []).append(level)
    return {band: float(np.mean(values)) for band, values in levels.items()}


def gan_warnings(scores: dict[str, float]) -> dict[str, str]:
    """Warnings about GAN metrics, by what is wrong: an adversary at chance on held-out segments, an idle WaveNet."""
    warnings = {}
    accuracy = scores.get("discriminator_accuracy")
    if accuracy is not None and accuracy < AT_CHANCE:
        warnings["held-out chance"] = (
            f"the discriminator scores real above reconstructed in {accuracy:.0%} of the held-out segments (½ is "
            "chance); raise train.discriminator_learning_rate or train.discriminator_segment_seconds"
        )
    levels = [value for name, value in scores.items() if name.startswith("wavenet_")]
    if levels and max(levels) < IDLE_DB:
        warnings["idle"] = (
            f"the WaveNet is idle: what it adds is at most {max(levels):.0f} dB relative to the output; the voice is "
            "the source-filter stage alone"
        )
    return warnings


def _middle_segments(output: ValidationOutput, config: Config) -> tuple[Tensor, Tensor]:
    """Middle segment (1, T) of a clip and of its reconstruction, as long as the discriminator's in training."""
    length = config.clamp_to_segment(config.train.discriminator_segment_seconds) * config.hop
    start = max(0, (output.clip.audio.shape[1] - length) // 2)
    window = slice(start, start + length)
    return output.clip.audio[:, window], output.reconstruction[None, window]
