"""A run is the same however it is stopped, split into micro batches and processes, and fed by workers.

Processes get different segments, skip the same updates, and hold equal weights.
"""

import json
import math
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator, debug_launcher
from accelerate.state import AcceleratorState
from runs import losses, replaced, weights

from svc.config import Config
from svc.data.dataset import SegmentDataset, StepSampler
from svc.data.manifest import Manifest
from svc.training import checkpoint, loop

ROOT = Path(__file__).parents[2]
BATCH = 4  # divides among two processes in two parts each


def trained(prepared: Manifest, config: Config, run: str, stop_at: int | None = None) -> None:
    """Of one process; the first is asked to stop in a step."""
    torch.set_num_threads(1)
    real = loop.train_step

    def disturbed(state, batch, config, accelerator, *losses):
        if state.step == stop_at and accelerator.is_main_process:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(state, batch, config, accelerator, *losses)

    loop.train_step = disturbed
    try:
        loop.train(prepared, Path(run), config, cpu=True)
    finally:
        loop.train_step = real


@pytest.fixture
def among(monkeypatch):
    """Train in so many processes, and come back to one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # unset, Accelerate warns

    def run(processes: int, *args) -> None:
        AcceleratorState._reset_state(reset_partial_state=True)
        sys.stdout.flush()
        if processes == 1:
            trained(*args)
        else:
            debug_launcher(trained, args=args, num_processes=processes)
        AcceleratorState._reset_state(reset_partial_state=True)

    return run


def test_stopped_and_resumed(among, prepared, tiny, tmp_path):
    """By two processes with two workers each, in micro batches, within an epoch."""
    alone = replaced(tiny, batch_size=BATCH, gradient_accumulation_steps=2)
    assert len(SegmentDataset(prepared, tiny)) < tiny.train.steps * BATCH  # an epoch ends on the way
    among(2, prepared, alone, str(tmp_path / "whole"))
    config = replaced(alone, num_workers=2)
    among(2, prepared, config, str(tmp_path / "parts"), 6)
    assert checkpoint.newest(tmp_path / "parts").step == 7
    among(2, prepared, config, str(tmp_path / "parts"))
    assert checkpoint.newest(tmp_path / "parts").step == 12
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_two_processes_are_as_good_as_one(among, prepared, tiny, tmp_path):
    """To rounding in the first step; an adversary magnifies that from step to step."""
    config = replaced(tiny, batch_size=BATCH, wavenet_start_step=0, adversarial_start_step=0)
    config = replace(config, loss=replace(config.loss, spectral=0.0, energy_repulsion=0.0))
    for processes in (1, 2):
        among(processes, prepared, config, str(tmp_path / f"{processes}"))
    for step, (one, two) in enumerate(zip(losses(tmp_path / "1"), losses(tmp_path / "2"), strict=True)):
        assert two.pop("grad_norm") == pytest.approx(one.pop("grad_norm"), rel=1e-4 if step == 0 else 1e-2)
        assert two == pytest.approx(one, rel=1e-5 if step == 0 else 2e-3, abs=1e-6)


def test_a_run_goes_on_in_another_number_of_processes(among, prepared, tiny, tmp_path):
    config = replaced(tiny, batch_size=BATCH, steps=8)
    among(1, prepared, config, str(tmp_path / "one"))
    among(1, prepared, config, str(tmp_path / "both"), 5)
    among(2, prepared, config, str(tmp_path / "both"))
    one, both = losses(tmp_path / "one"), losses(tmp_path / "both")
    assert [row["step"] for row in both] == list(range(1, 9))
    assert both[:6] == one[:6]
    assert both[6]["spectral"] == pytest.approx(one[6]["spectral"], rel=1e-5)
    assert both[-1]["spectral"] == pytest.approx(one[-1]["spectral"], rel=1e-2)


def both_ranks(prepared, config, run: str) -> None:
    torch.set_num_threads(1)
    kept = {}
    real = loop.train_step

    def watched(state, batch, config, accelerator, *losses):
        kept["state"] = state
        if state.step == 2 and accelerator.process_index == 1:
            batch.audio[:, ::7] = torch.nan
        terms = real(state, batch, config, accelerator, *losses)
        kept.setdefault("power", []).append(float(batch.audio.square().sum()))
        return terms

    loop.train_step = watched
    loop.train(prepared, Path(run), config, cpu=True)
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    networks = (kept["state"].generator, kept["state"].discriminator, kept["state"].ema_generator)
    digest = [float(p.detach().double().sum()) for network in networks for p in network.parameters()]
    report = {"processes": accelerator.num_processes, "power": kept["power"], "weights": digest}
    report |= {"skipped": kept["state"].num_skipped_updates}
    Path(run, f"rank{accelerator.process_index}.json").write_text(json.dumps(report))


def test_two_processes_end_with_equal_weights(prepared, tiny, tmp_path, monkeypatch):
    tiny = replaced(tiny, batch_size=BATCH, gradient_accumulation_steps=2)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # unset, Accelerate warns
    AcceleratorState._reset_state(reset_partial_state=True)
    sys.stdout.flush()
    debug_launcher(both_ranks, args=(prepared, tiny, str(tmp_path)), num_processes=2)
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    assert first["processes"] == second["processes"] == 2
    assert first["power"] != second["power"]
    assert first["weights"] == second["weights"]
    assert checkpoint.newest(tmp_path).step == 12
    assert first["skipped"] == second["skipped"] == 1  # in one of them a loss was not finite
    assert all(math.isfinite(total) for total in first["weights"])


def test_processes_share_the_batches_of_one(tiny):
    alone = list(StepSampler(7, tiny, step=3, rank=0, world=1))
    shares = [list(StepSampler(7, tiny, step=3, rank=rank, world=2)) for rank in range(2)]
    assert [a + b for a, b in zip(*shares, strict=True)] == alone
    assert len(alone) == tiny.train.steps - 3
    everything = [place for step in StepSampler(6, tiny, step=0, rank=0, world=1) for place in step][:6]
    assert sorted(everything) == [(0, i) for i in range(6)]
