"""Supervised trainer of the auxiliary networks (phone classifier, autoencoder …): one loop with exact resume.

A subclass says what its network is, what a step's losses are, and what else belongs to the state. Nothing is drawn at
random but from the seed and the step, so that a run that is resumed ends with the same weights, bit for bit.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from svc.config.tree import differences
from svc.errors import TrainingError
from svc.utils import hardware
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress

Tensors = dict[str, Tensor]
CHECKPOINT, LOSSES = "checkpoint.safetensors", "losses.jsonl"
CHECKPOINT_EVERY = 250  # steps
EVALUATE_EVERY = 10  # rows of the log
BETAS, WEIGHT_DECAY = (0.9, 0.98), 0.01  # of AdamW


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisedConfig:
    """Options of every supervised training."""

    seed: int = 0
    steps: int = 3000
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    max_grad_norm: float = 1.0


class SupervisedTrainer(ABC):
    """A training run in a folder; with the same config and data it resumes at its last checkpoint.

    Args:
        folder: of the run.
        config: options; a subclass may add its own.
        data_fingerprint: of the training data.
        device: of the network; ``losses`` has to bring its batches there.
    """

    def __init__(
        self, folder: Path, config: SupervisedConfig, data_fingerprint: str, device: torch.device | str = "cpu"
    ) -> None:
        torch.manual_seed(config.seed)
        self.folder, self.config, self.data_fingerprint = folder, config, data_fingerprint
        self.device = torch.device(device)
        self.network = self.make_network().to(self.device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=WEIGHT_DECAY, betas=BETAS)
        self.bf16 = hardware.use_bf16("auto", self.device)
        self.step = 0

    @abstractmethod
    def make_network(self) -> nn.Module:
        """The network with its initial weights."""

    @abstractmethod
    def losses(self, step: int) -> Tensors:
        """Losses () of a step's batch by name, under autocast; a function of the seed, the step and the state."""

    def loss_weights(self) -> Mapping[str, float]:
        """Weights of the losses; 1 where none is named."""
        return {}

    def before_step(self, step: int) -> None:  # noqa: B027
        """Whatever has to be done before some steps."""

    def evaluate(self) -> dict[str, float]:
        """Measures on held-out data, for the log."""
        return {}

    def extra_state(self) -> Tensors:
        """State besides weights and optimizer, which a checkpoint has to hold."""
        return {}

    def load_extra_state(self, state: Tensors) -> None:  # noqa: B027
        """Take what ``extra_state`` gave."""

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to 0 at the last step."""
        warm = min(1.0, (step + 1) / max(1, self.config.warmup_steps))
        return self.config.learning_rate * warm * 0.5 * (1 + cos(pi * step / self.config.steps))

    def train(self, log_every: int = 50) -> None:
        """Train to the last step, with progress and the time left, a log and checkpoints.

        Raises:
            TrainingError: a loss or its gradient is not finite.
        """
        steps = self.config.steps
        bar = progress(range(self.step, steps), "train", "step", steps, initial=self.step)
        for step in bar:
            self.before_step(step)
            losses = self.take_step()
            if self.step % CHECKPOINT_EVERY == 0:
                self.save()
            if step % log_every == 0:
                row = {"step": step} | {name: round(float(loss), 4) for name, loss in losses.items()}
                measures = self.evaluate() if step % (EVALUATE_EVERY * log_every) == 0 else {}
                row |= {name: round(value, 4) for name, value in measures.items()}
                bar.set_postfix_str(" ".join(f"{name} {value}" for name, value in row.items()))
                with (self.folder / LOSSES).open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
        self.save()

    def take_step(self) -> Tensors:
        """One update of the weights; returns the losses.

        Raises:
            TrainingError: the loss or its gradient is not finite; no weight has been changed by it.
        """
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self.step]).generate_state(1)[0]))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            losses = self.losses(self.step)
        weights = self.loss_weights()
        loss = torch.stack([weights.get(name, 1.0) * value for name, value in losses.items()]).sum()
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_grad_norm)
        if not bool(torch.isfinite(loss) & torch.isfinite(norm)):
            raise TrainingError(
                f"{self.folder}: the loss of step {self.step} or its gradient is not finite; "
                "start again with another -o and a lower --set learning_rate=…"
            )
        self.optimizer.step()
        self.step += 1
        return {name: value.detach() for name, value in losses.items()}

    def save(self) -> None:
        """Write a checkpoint: weights, optimizer moments, step and extra state in one safetensors file.

        Its header holds the config, the fingerprint of the data and the precision as JSON.
        """
        parts = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            parts |= {f"adam.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        parts |= {f"extra.{name}": value for name, value in self.extra_state().items()}
        parts |= {"step": torch.tensor(self.step)}
        header = {"config": json.dumps(asdict(self.config)), "data": self.data_fingerprint}
        stored = {name: value.cpu().contiguous() for name, value in parts.items()}
        write_bytes(self.folder / CHECKPOINT, save(stored, header | {"bf16": json.dumps(self.bf16)}), sync=True)

    def restore(self) -> None:
        """Resume from the checkpoint of the folder, if there is one, at the precision that the run began with.

        Raises:
            TrainingError: the checkpoint is damaged, of another network, or of another config or other data.
        """
        file = self.folder / CHECKPOINT
        if not file.exists():
            return
        hint = "choose another -o, or delete that file to start again"
        try:
            with safe_open(file, framework="pt") as stored:
                header = stored.metadata() or {}
                parts = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            changed = differences(json.loads(header["config"]), json.loads(json.dumps(asdict(self.config))))
            if header["data"] != self.data_fingerprint:
                changed.append("the data")
            if changed:
                raise TrainingError(f"{file}: the run changed ({'; '.join(changed)}); undo that, {hint}")
            self._load(parts, bool(json.loads(header["bf16"])))
        except (SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError):
            raise TrainingError(f"{file}: damaged, of another network or of an earlier svc; {hint}") from None

    def _load(self, parts: Tensors, bf16: bool) -> None:
        self.network.load_state_dict(_below("network.", parts))
        moments: dict[int, Tensors] = {}
        for name, value in _below("adam.", parts).items():
            number, kind = name.split(".", 1)
            moments.setdefault(int(number), {})[kind] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        self.load_extra_state(_below("extra.", parts))
        self.bf16, self.step = bf16, int(parts["step"])


def _below(prefix: str, parts: Tensors) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in parts.items() if name.startswith(prefix)}
