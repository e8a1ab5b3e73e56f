"""Learning rates and weights as pure functions of the step."""

import math

from svc.config import TrainConfig


def adversary_share(step: int, train: TrainConfig) -> float:
    """Share of their weights that the terms have which join at ``adversary_start``: a linear rise."""
    return min(1.0, max(0.0, (step - train.adversary_start + 1) / max(1, train.adversary_ramp)))


def rate_share(step: int, train: TrainConfig) -> float:
    """Share of the full learning rate: a linear warm-up, then a cosine down to ``final_rate`` at the last step."""
    warm = min(1.0, (step + 1) / max(1, train.warmup))
    done = min(1.0, step / max(1, train.steps))
    return warm * (train.final_rate + (1 - train.final_rate) * 0.5 * (1 + math.cos(math.pi * done)))
