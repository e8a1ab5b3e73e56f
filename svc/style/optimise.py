"""Optimisation of a spectrogram: L-BFGS with a strong Wolfe line search, Adam or plain gradient descent."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from svc.errors import DataError
from svc.style.presets import StyleConfig

Losses = dict[str, float]
Objective = Callable[[Tensor], dict[str, Tensor]]
CHUNK = 20  # evaluations between two looks at the stopping rule
HISTORY = 100  # pairs of L-BFGS
FIRST_STEP = 0.01  # mean change of a value that the first line search begins with


def optimise(
    start: Tensor,
    objective: Objective,
    config: StyleConfig,
    progress: Callable[[int, Losses], None] = lambda _count, _losses: None,
) -> tuple[Tensor, list[Losses]]:
    """Minimise the loss ``total`` of a tensor; returns the last values, and the losses of all evaluations.

    Progress is called with the number and the losses of every evaluation.

    Raises:
        DataError: the loss is not finite.
    """
    variable = start.clone().requires_grad_()
    trace: list[Losses] = []

    def closure() -> float:
        losses = objective(variable)
        (gradient,) = torch.autograd.grad(losses["total"], variable)
        variable.grad = gradient.contiguous()  # as L-BFGS needs it
        trace.append({name: value.item() for name, value in losses.items()})
        progress(len(trace), trace[-1])
        return trace[-1]["total"]

    optimizer = _make_optimizer(variable, config)
    (group,) = optimizer.param_groups
    while len(trace) < config.evaluations:
        before, left = len(trace), config.evaluations - len(trace)
        if config.optimizer == "lbfgs":
            group["max_iter"] = min(CHUNK, left) if trace else 1
            group["max_eval"] = min(CHUNK, left)
            group["lr"] = 1.0 if trace else FIRST_STEP * variable.numel()  # torch divides the first by Σ|gradient|
        elif config.lr_decay:
            group["lr"] = config.learning_rate * (0.505 + 0.495 * math.cos(math.pi * before / config.evaluations))
        optimizer.step(closure)
        if not math.isfinite(trace[-1]["total"]):
            hint = "use another preset" if config.optimizer == "lbfgs" else "lower --set learning_rate or use lbfgs"
            raise DataError(f"the loss is not finite after {before} evaluations; {hint}")
        converged = config.optimizer == "lbfgs" and len(trace) - before <= 1
        if converged or trace[-1]["style"] < config.stop_at * trace[0]["style"]:
            break
    return variable.detach(), trace


def _make_optimizer(variable: Tensor, config: StyleConfig) -> torch.optim.Optimizer:
    if config.optimizer == "lbfgs":
        return torch.optim.LBFGS(
            [variable], history_size=HISTORY, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
        )
    return {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[config.optimizer]([variable], lr=config.learning_rate)
