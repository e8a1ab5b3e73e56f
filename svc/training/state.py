"""Everything a step changes. It survives a crash, but for the count of steps in vain, which begins anew."""

import math
from dataclasses import dataclass, field

import torch
from torch import nn

from svc.config import Config
from svc.models.discriminators import build_discriminator
from svc.models.generator import Generator
from svc.training.ema import shadow
from svc.utils import hardware


@dataclass(slots=True)
class TrainState:
    """Networks, optimisers, and how far they have come.

    Attributes:
        generator: as it trains, perhaps wrapped for many processes.
        discriminator: likewise.
        average: EMA of the generator's weights.
        generator_optimizer: Adam.
        discriminator_optimizer: Adam.
        step: steps done.
        best: highest validation score so far.
        best_step: and when, if there was one.
        left_out: updates of either network whose gradient was not finite.
        in_vain: how many of them in a row, of the generator and of the discriminator.
    """

    generator: nn.Module
    discriminator: nn.Module
    average: Generator
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    step: int = 0
    best: float = -math.inf
    best_step: int | None = None
    left_out: int = 0
    in_vain: list[int] = field(default_factory=lambda: [0, 0])


def create(config: Config, *, content_channels: int, num_speakers: int, device: torch.device) -> TrainState:
    """A fresh state; the weights depend on the seed alone."""
    torch.manual_seed(config.train.seed)
    generator = Generator(config, content_channels=content_channels, num_speakers=num_speakers).to(device)
    generator.bf16 = hardware.use_bf16(config.train.precision, device)
    discriminator = build_discriminator(config.discriminator).to(device)
    average = shadow(generator)
    assert isinstance(average, Generator)
    return TrainState(
        generator,
        discriminator,
        average,
        torch.optim.Adam(generator.parameters(), lr=config.train.learning_rate, betas=(0.8, 0.99)),
        torch.optim.Adam(discriminator.parameters(), lr=config.train.discriminator_rate, betas=(0.8, 0.99)),
    )
