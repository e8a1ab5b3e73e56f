"""Two processes get different segments, skip the same updates, and hold equal weights."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator, debug_launcher
from accelerate.state import AcceleratorState

from svc.data.dataset import StepSampler
from svc.training import checkpoint, loop


def both_ranks(prepared, config, run: str) -> None:
    torch.set_num_threads(1)
    kept = {}
    real = loop.train_step

    def watched(state, batch, config, accelerator, perceptual):
        kept["state"] = state
        if state.step == 2 and accelerator.process_index == 1:
            batch.audio[:, ::7] = torch.nan
        terms = real(state, batch, config, accelerator, perceptual)
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
    tiny = replace(tiny, train=replace(tiny.train, batch_size=4, gradient_accumulation_steps=2))
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
