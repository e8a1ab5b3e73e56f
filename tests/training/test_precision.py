"""``train.precision: auto`` is settled where a run begins, and holds on whatever machine it goes on."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from svc.errors import TrainingError
from svc.training import checkpoint, loop
from svc.training.loop import train
from svc.training.resume import resolve_precision
from svc.utils import hardware

STEPS, STOPPED = 4, 2


@pytest.fixture
def config(tiny):
    """With a WaveNet from the first step on, for on CPUs the products in bf16 are its own."""
    knobs = {"steps": STEPS, "wavenet_start_step": 0, "adversarial_start_step": 3, "num_validation_clips": 0}
    return lambda precision: replace(tiny, train=replace(tiny.train, precision=precision, **knobs))


@pytest.fixture
def fast(monkeypatch):
    """Move to a machine where bf16 is fast, or is not."""
    return lambda half: monkeypatch.setattr(hardware, "bf16_is_fast", lambda _: half)


@pytest.fixture
def stop_once(monkeypatch):
    """Have Ctrl-C pressed in one step."""
    real = loop.train_step

    def disturbed(state, *others):
        if state.step == STOPPED - 1:
            monkeypatch.setattr(loop, "train_step", real)
            os.kill(os.getpid(), signal.SIGINT)
        return real(state, *others)

    return lambda: monkeypatch.setattr(loop, "train_step", disturbed)


def losses(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("half", "precision"), [(True, "bf16"), (False, "no")])
def test_a_run_goes_on_as_it_began(half, precision, prepared, config, fast, stop_once, tmp_path):
    train(prepared, tmp_path / "whole", config(precision), cpu=True)
    fast(half)
    stop_once()
    assert train(prepared, tmp_path / "moved", config("auto"), cpu=True).interrupted
    assert checkpoint.newest(tmp_path / "moved").meta["bf16"] is half
    assert checkpoint.newest(tmp_path / "moved").meta["config"]["train"]["precision"] == "auto"
    fast(not half)
    assert train(prepared, tmp_path / "moved", config("auto"), cpu=True).step == STEPS
    assert checkpoint.newest(tmp_path / "moved").meta["bf16"] is half
    assert losses(tmp_path / "moved") == losses(tmp_path / "whole")


def test_a_run_of_an_earlier_version_goes_by_the_machine(config, fast):
    for half in (True, False):
        fast(half)
        earlier = SimpleNamespace(meta={})
        assert resolve_precision(config("auto"), earlier, torch.device("cpu")).train.precision == ("no", "bf16")[half]


def test_another_precision_is_a_change_of_the_config(prepared, config, stop_once, tmp_path):
    stop_once()
    train(prepared, tmp_path, config("no"), cpu=True)
    with pytest.raises(TrainingError, match=r"train\.precision: no → bf16"):
        train(prepared, tmp_path, config("bf16"), cpu=True)
    train(prepared, tmp_path, config("bf16"), cpu=True, allow_config_change=True)
    assert checkpoint.newest(tmp_path).meta["bf16"] is True
