"""GAN diagnostics: accuracy of the discriminator, level of what the WaveNet adds, and warnings of what goes wrong."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from svc.audio.levels import level_by_band
from svc.config import Config
from svc.losses.adversarial import discriminator_loss
from svc.losses.envelope import relative_envelope, spectral_envelope
from svc.models.discriminators import Discriminator, EnvelopeDiscriminator
from svc.training.micro_batch import rms_level
from svc.training.validation import ValidationOutput

PERIOD = 10  # logged steps over which the diagnostics average
D_TOO_STRONG, D_AT_CHANCE = 0.05, 0.49  # of the discriminator's loss: 0 is perfect, ½ is chance
DIVERGED = 1.3  # ratio of the spectral loss to its minimum
AT_CHANCE = 0.6  # accuracy of the discriminator on held-out segments, ½ is chance
IDLE_DB = -25.0  # level of the WaveNet's part, relative to the output, below which in every band it is inaudible


@torch.no_grad()
def discriminator_metrics(
    discriminator: Discriminator, outputs: Sequence[ValidationOutput], config: Config, embedding: Tensor
) -> dict[str, float]:
    """Accuracy and loss of the discriminator on segments that it was not trained on; ``embedding`` (S, E): speakers.

    Returns:
        ``discriminator_accuracy``, the share of views and clips in which the middle segment of the clip has a higher
        mean score than its reconstruction, and ``discriminator_loss``; empty without clips.
    """
    device = next(discriminator.parameters()).device
    wins, losses = [], []
    for output in outputs:
        speaker = output.clip.conditioning.speaker.to(device) @ embedding
        if isinstance(discriminator, EnvelopeDiscriminator):
            real, fake = _envelopes(output, config)
        else:
            real, fake = _middle_segments(output, config)
            level = rms_level(real)
            real, fake = real / level, fake / level
        real_out, fake_out = discriminator(real.to(device), speaker), discriminator(fake.to(device), speaker)
        wins += [float(r.mean() > f.mean()) for (r, _), (f, _) in zip(real_out, fake_out, strict=True)]
        losses.append(float(discriminator_loss(fake=fake_out, real=real_out)))
    if not outputs:
        return {}
    return {"discriminator_accuracy": float(np.mean(wins)), "discriminator_loss": float(np.mean(losses))}


def wavenet_levels(
    outputs: Sequence[ValidationOutput], without_wavenet: Sequence[ValidationOutput], sample_rate: int
) -> dict[str, float]:
    """Level of the WaveNet's part relative to the output, ``wavenet_0-1kHz`` and so on: mean over clips in dB."""
    levels: dict[str, list[float]] = {}
    for whole, alone in zip(outputs, without_wavenet, strict=True):
        part = whole.reconstruction - alone.reconstruction
        for band, level in level_by_band(part.numpy(), whole.reconstruction.numpy(), sample_rate).items():
            if math.isfinite(level):
                levels.setdefault(f"wavenet_{band}kHz", []).append(level)
    return {band: float(np.mean(values)) for band, values in levels.items()}


def _envelopes(output: ValidationOutput, config: Config) -> tuple[Tensor, Tensor]:
    """Envelopes (1, N, P) of a clip and of its reconstruction, as the discriminator sees them."""
    conditioning, band, hop = output.clip.conditioning, output.clip.band, config.hop
    audio = torch.cat([output.clip.audio, output.reconstruction[None]])
    envelopes = spectral_envelope(audio, conditioning.f0.expand(2, -1), hop, config.model.envelope_points)
    real, fake = relative_envelope(envelopes, conditioning, band, hop).split(1)
    return real, fake


def _middle_segments(output: ValidationOutput, config: Config) -> tuple[Tensor, Tensor]:
    """Middle segment (1, T) of a clip and of its reconstruction, as long as the discriminator's in training."""
    length = config.clamp_to_segment(config.train.discriminator_segment_seconds) * config.hop
    start = max(0, (output.clip.audio.shape[1] - length) // 2)
    window = slice(start, start + length)
    return output.clip.audio[:, window], output.reconstruction[None, window]


class Diagnostics:
    """Warnings about a GAN's training, each at most once in a run."""

    def __init__(self) -> None:
        self._losses = {name: deque[float](maxlen=PERIOD) for name in ("discriminator", "spectral")}
        self._skip = dict.fromkeys(self._losses, PERIOD)  # the first values are not typical
        self._best = math.inf
        self._warned: set[str] = set()

    def check_losses(self, losses: Mapping[str, float]) -> list[str]:
        """New warnings after the logged losses of a step: a discriminator too strong or at chance, a divergence."""
        for name, last in self._losses.items():
            if math.isfinite(losses.get(name, math.nan)):
                self._skip[name] -= 1
                if self._skip[name] < 0:
                    last.append(losses[name])
        means = {name: sum(last) / PERIOD for name, last in self._losses.items() if len(last) == PERIOD}
        warnings = {}
        discriminator, spectral = means.get("discriminator"), means.get("spectral")
        if discriminator is not None and discriminator < D_TOO_STRONG:
            warnings["too strong"] = (
                f"the discriminator is too strong (loss {discriminator:.2f}, ½ is chance): its gradients carry little; "
                "lower train.discriminator_learning_rate, or raise train.adversarial_start_step"
            )
        if discriminator is not None and discriminator > D_AT_CHANCE:
            warnings["at chance"] = (
                f"the discriminator is at chance (loss {discriminator:.2f}); "
                "raise train.discriminator_learning_rate or discriminator.channels"
            )
        if spectral is not None:
            self._best = min(self._best, spectral)
            if spectral > DIVERGED * self._best:
                warnings["diverged"] = (
                    f"the spectral loss has risen from {self._best:.2f} to {spectral:.2f}: the generator diverges; "
                    "lower loss.adversarial and the other weights, or train.learning_rate"
                )
        return self._new(warnings)

    def check_scores(self, scores: Mapping[str, float]) -> list[str]:
        """New warnings after a validation: a discriminator at chance on held-out segments, an idle WaveNet."""
        warnings = {}
        accuracy = scores.get("discriminator_accuracy", 1.0)
        if accuracy < AT_CHANCE:
            warnings["held-out chance"] = (
                f"the discriminator scores real above reconstructed in {accuracy:.0%} of the held-out segments (½ is "
                "chance); raise train.discriminator_learning_rate or train.discriminator_segment_seconds"
            )
        level = max((value for name, value in scores.items() if name.startswith("wavenet_")), default=0.0)
        if level < IDLE_DB:
            warnings["idle"] = (
                f"the WaveNet is idle: what it adds is at most {level:.0f} dB relative to the output; the voice is "
                "the source-filter stage alone"
            )
        return self._new(warnings)

    def _new(self, warnings: Mapping[str, str]) -> list[str]:
        new = [text for name, text in warnings.items() if name not in self._warned]
        self._warned |= warnings.keys()
        return new
