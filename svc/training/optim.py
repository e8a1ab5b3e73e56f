"""Optimiser updates: learning-rate schedule, gradient accumulation, clipping, and skipping of non-finite gradients."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.config import TrainConfig

T = TypeVar("T")


def make_optimizer(
    network: nn.Module, learning_rate: float, ratios: Mapping[str, float] = MappingProxyType({})
) -> torch.optim.Adam:
    """Adam; on GPUs fused, so that it can skip an update without a host sync.

    Args:
        network: to train.
        learning_rate: of most parameters.
        ratios: of the learning rates of others, by the parameter's name, to that.
    """
    fused = any(parameter.is_cuda for parameter in network.parameters())
    named = dict(network.named_parameters())
    groups = [{"params": [value for name, value in named.items() if name not in ratios], "ratio": 1.0}]
    groups += [{"params": [named[name]], "ratio": ratio} for name, ratio in ratios.items()]
    return torch.optim.Adam(groups, lr=learning_rate, betas=(0.8, 0.99), fused=fused)


def lr_factor(step: int, train: TrainConfig) -> float:
    """Factor of the learning rate: linear warm-up, then cosine decay to ``min_lr_ratio``.

    It starts anew at ``wavenet_start_step``, where the stage before it has been trained to its end.
    """
    start, end = train.wavenet_start_step, train.steps
    first, last = (start, end) if step >= start else (0, min(start, end))
    warmup = min(1.0, (step - first + 1) / max(1, train.warmup_steps))
    progress = min(1.0, (step - first) / max(1, last - first))
    return warmup * (train.min_lr_ratio + (1 - train.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * progress)))


def adversarial_ramp(step: int, train: TrainConfig) -> float:
    """Factor (0–1) of the losses that start at ``adversarial_start_step``: a linear ramp."""
    return min(1.0, max(0.0, (step - train.adversarial_start_step + 1) / max(1, train.adversarial_ramp_steps)))


def scale_learning_rates(factor: float, *optimizers: torch.optim.Optimizer) -> None:
    """Set the learning rates to a factor of those that the optimisers were made with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group["ratio"] * optimizer.defaults["lr"]


def sync_last(micro_batches: Sequence[T], accelerator: Accelerator, network: nn.Module) -> Iterator[T]:
    """Gradient accumulation: gradients are averaged over the processes only in the last micro batch."""
    for micro_batch in micro_batches[:-1]:
        with accelerator.no_sync(network):
            yield micro_batch
    yield micro_batches[-1]


def clip_and_step(
    optimizer: torch.optim.Optimizer, network: nn.Module, train: TrainConfig, accelerator: Accelerator
) -> Tensor:
    """Clip the gradient and update the weights, unless its norm, returned, is not finite: in all processes alike."""
    norm: Tensor = accelerator.clip_grad_norm_(network.parameters(), train.max_grad_norm)
    adam: Any = getattr(optimizer, "optimizer", optimizer)  # without the wrapper of Accelerate
    if adam.defaults.get("fused"):
        adam.found_inf = (~torch.isfinite(norm)).float()  # the kernel skips the update, without a host sync
        optimizer.step()
    elif torch.isfinite(norm):
        optimizer.step()
    return norm
