"""The supervised trainer: it learns, and a run that was resumed ends as one that was not, bit for bit."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from svc.errors import TrainingError
from svc.training import auxiliary
from svc.training.auxiliary import CHECKPOINT, LOSSES, SupervisedConfig, SupervisedTrainer

CONFIG = SupervisedConfig(steps=60, learning_rate=0.05, warmup_steps=5)


class Regression(SupervisedTrainer):
    """y = W x with dropout, and a running mean of the loss as state of its own."""

    mean = torch.zeros(())
    scale = 1.0

    def make_network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 2))

    def losses(self, step: int) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(step)
        x = torch.randn(32, 4, generator=draw)
        y = torch.stack([x[:, 0] + x[:, 1], x[:, 2] - x[:, 3]], dim=1)
        error = self.scale * functional.mse_loss(self.network(x).float(), y)
        self.mean = 0.9 * self.mean + 0.1 * error.detach()
        return {"error": error, "pull": self.mean * 0 + sum(p.square().mean() for p in self.network.parameters())}

    def loss_weights(self) -> dict[str, float]:
        return {"pull": 1e-3}

    def evaluate(self) -> dict[str, float]:
        return {"measure": float(self.mean)}

    def extra_state(self) -> dict[str, Tensor]:
        return {"mean": self.mean}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        self.mean = state["mean"]


def rows(folder) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOSSES).read_text().splitlines()]


def test_a_regression_is_learnt(tmp_path):
    Regression(tmp_path, CONFIG, "data").train(log_every=10)
    first, *_, last = rows(tmp_path)
    assert last["error"] < 0.2 * first["error"]
    assert "measure" in first
    assert "measure" not in last  # every tenth row of the log


def test_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    """Also in bf16, where the machine that it is resumed on is not fast with it."""
    monkeypatch.setattr(auxiliary.hardware, "bf16_is_fast", lambda device: True)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = Regression(tmp_path / "a", CONFIG, "data")
    whole.train()
    part = Regression(tmp_path / "b", CONFIG, "data")
    for _ in range(23):
        part.take_step()
    part.save()
    monkeypatch.setattr(auxiliary.hardware, "bf16_is_fast", lambda device: False)
    torch.manual_seed(99)
    resumed = Regression(tmp_path / "b", CONFIG, "data")
    resumed.restore()
    assert (resumed.step, resumed.bf16) == (23, True)
    resumed.train()
    assert torch.equal(whole.mean, resumed.mean)
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)
    one, other = (load_file(tmp_path / name / CHECKPOINT) for name in "ab")
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("change", ["config", "data", "damage", "network", "earlier"])
def test_only_the_same_run_goes_on(tmp_path, change):
    run = Regression(tmp_path, CONFIG, "data")
    run.take_step()
    run.save()
    file, reason = tmp_path / CHECKPOINT, "damaged, of another network or of an earlier svc"
    config, data = CONFIG, "data"
    if change == "config":
        config, reason = replace(CONFIG, steps=61), r"changed \(steps: 60 → 61\)"
    elif change == "data":
        data, reason = "other", r"changed \(the data\)"
    elif change == "damage":
        file.write_bytes(file.read_bytes()[:-100])
    elif change == "network":
        tensors = load_file(file)
        save_file({name: value for name, value in tensors.items() if "network.0" not in name}, file)
    else:
        save_file(load_file(file), file)
    with pytest.raises(TrainingError, match=rf"{CHECKPOINT}: .*{reason}.*; .*choose another -o, or delete"):
        Regression(tmp_path, config, data).restore()


def test_a_loss_that_is_not_finite_ends_the_run_before_it_spoils_a_weight(tmp_path):
    run = Regression(tmp_path, CONFIG, "data")
    run.scale = float("nan")
    before = [value.clone() for value in run.network.parameters()]
    with pytest.raises(TrainingError, match="step 0 or its gradient is not finite"):
        run.take_step()
    assert all(torch.equal(one, other) for one, other in zip(before, run.network.parameters(), strict=True))


def test_learning_rate_rises_and_falls_to_zero(tmp_path):
    run = Regression(tmp_path, CONFIG, "data")
    rates = [run.learning_rate(step) for step in range(61)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[4] == pytest.approx(0.05, rel=0.02)
    assert rates[60] == pytest.approx(0, abs=1e-12)
