"""One network's part of a step: gradients are gathered between ``begin`` and ``finish``."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.config import TrainConfig
from svc.errors import TrainingError
from svc.training.schedule import rate_share
from svc.training.state import TrainState

TOO_MANY = 20  # steps in a row that come to nothing


def begin(state: TrainState, network: nn.Module, train: TrainConfig) -> None:
    """No gradients yet, and the learning rate of the step."""
    optimizer = _optimizer(state, network)
    full = train.discriminator_rate if network is state.discriminator else train.learning_rate
    for group in optimizer.param_groups:
        group["lr"] = full * rate_share(state.step, train)
    optimizer.zero_grad(set_to_none=True)


def reduced(accelerator: Accelerator, network: nn.Module, last: bool) -> AbstractContextManager[object]:
    """Where gradients are gathered in this process, and with the last part those of all processes averaged."""
    return nullcontext() if last else accelerator.no_sync(network)


def finish(
    state: TrainState, network: nn.Module, terms: Mapping[str, Tensor], train: TrainConfig, accelerator: Accelerator
) -> Tensor:
    """Change a network's weights, unless its gradient is not finite; returns the norm of that.

    A gradient is the mean of those of all processes, so that one that is not finite is so in all of them, and they all
    leave the step out.

    Args:
        state: whose generator or discriminator it is.
        network: which.
        terms: what it was asked, by name.
        train: clipping.
        accelerator: of the process.

    Raises:
        TrainingError: nothing has been finite for many steps; the weights are as they were before.
    """
    adversary, optimizer = network is state.discriminator, _optimizer(state, network)
    norm: Tensor = accelerator.clip_grad_norm_(network.parameters(), train.clip)
    if torch.isfinite(norm):
        optimizer.step()
        state.in_vain[adversary] = 0
        return norm
    optimizer.zero_grad(set_to_none=True)
    state.left_out += 1
    state.in_vain[adversary] += 1
    if state.in_vain[adversary] >= TOO_MANY:
        asked = [name for name in terms if name != "total"]
        guilty = [name for name in asked if not torch.isfinite(terms[name])]
        what = f"{', '.join(guilty)} is" if guilty else f"the gradient of {' + '.join(asked)} is"
        knob = "train.discriminator_rate" if adversary else "train.learning_rate"
        raise TrainingError(
            f"step {state.step}: {what} not finite, and nothing was in {TOO_MANY} steps; go on from the last "
            f"checkpoint, which is good, with a lower {knob} and --accept-changes"
        )
    return norm


def _optimizer(state: TrainState, network: nn.Module) -> torch.optim.Optimizer:
    return state.discriminator_optimizer if network is state.discriminator else state.generator_optimizer
