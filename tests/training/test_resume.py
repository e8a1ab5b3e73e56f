"""Exact resume: a run that is killed and resumed equals the uninterrupted run to the bit."""

import os
import random
import shutil
import signal
import time
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from runs import losses, new_state, replaced, weights
from safetensors.torch import load_file

from svc.errors import TrainingError
from svc.models.weight_names import VERSION
from svc.training import checkpoint, loop, state, step
from svc.training.loop import train
from svc.training.resume import lock_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def uninterrupted(prepared, tiny, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    outcome = train(prepared, run, tiny, cpu=True)
    assert (outcome.step, outcome.interrupted) == (12, False)
    return run


def test_losses_of_each_stage(uninterrupted):
    rows = losses(uninterrupted)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert set(rows[0]) == {"step", "spectral", "energy_repulsion", "total", "grad_norm", "skipped_updates"}
    assert set(rows[-1]) == set(rows[0]) | {"adversarial", "feature_matching", "discriminator"}


def test_the_wavenet_starts_at_its_step(uninterrupted, prepared, tiny, tmp_path):
    train(prepared, tmp_path, replaced(tiny, steps=3, wavenet_start_step=3), cpu=True)
    fresh = new_state(tiny).generator.wavenet.output.weight.data
    before = load_file(checkpoint.newest(tmp_path).folder / "generator.safetensors")
    after = load_file(checkpoint.newest(uninterrupted).folder / "generator.safetensors")
    assert torch.equal(before["wavenet.output.weight"], fresh)
    assert not torch.equal(after["wavenet.output.weight"], fresh)


def test_stopped_by_a_signal_then_resumed(uninterrupted, prepared, tiny, tmp_path, monkeypatch, capfd):
    real, handler = loop.train_step, signal.getsignal(signal.SIGINT)

    def disturbed(state, *others):
        if state.step == 6 and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            os.kill(os.getpid(), signal.SIGINT)
        return real(state, *others)

    monkeypatch.setattr(loop, "train_step", disturbed)
    assert train(prepared, tmp_path, tiny, cpu=True).interrupted
    assert checkpoint.newest(tmp_path).step == 7
    assert "stops after this step" in capfd.readouterr().err
    assert not train(prepared, tmp_path, tiny, cpu=True).interrupted
    assert f"resumes from step 7 of {tiny.train.steps}" in capfd.readouterr().err
    assert losses(tmp_path) == losses(uninterrupted)
    assert weights(tmp_path) == weights(uninterrupted)
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_clips_are_an_error(uninterrupted, prepared, tiny):
    other = replace(prepared, sha256="0")
    with pytest.raises(TrainingError, match=r"the config changed \(the prepared clips\)"):
        train(other, uninterrupted, tiny, cpu=True)


@pytest.mark.parametrize(("kills", "steps"), [(2, 60), pytest.param(20, 480, marks=pytest.mark.slow)])
def test_killed_again_and_again_then_resumed(kills, steps, prepared, tiny, tmp_path):
    longer = replaced(tiny, steps=steps, validate_every=40)
    train(prepared, tmp_path / "whole", longer, cpu=True)
    run, rng = tmp_path / "killed", random.Random(0)
    for _ in range(kills):
        process = get_context("fork").Process(target=train, args=(prepared, run, longer), kwargs={"cpu": True})
        process.start()
        wait_for_progress(run / "losses.jsonl", process)
        time.sleep(rng.random() * 0.2)
        assert process.is_alive(), "the run ended before it could be killed"
        process.kill()
        process.join()
    train(prepared, run, longer, cpu=True)
    assert losses(run) == losses(tmp_path / "whole")
    assert weights(run) == weights(tmp_path / "whole")


def wait_for_progress(path: Path, process: ForkProcess) -> None:
    """Until a few more losses are logged, or the run ends."""
    before = path.stat().st_size if path.exists() else 0
    while process.is_alive() and not (path.exists() and path.stat().st_size > before + 100):
        time.sleep(0.02)


def test_a_changed_config_is_an_error(uninterrupted, prepared, tiny):
    longer = replaced(tiny, steps=13, max_grad_norm=1.0)
    with pytest.raises(
        TrainingError, match=r"train.max_grad_norm: 5.0 → 1.0; train.steps: 12 → 13.*--allow-config-change"
    ):
        train(prepared, uninterrupted, longer, cpu=True)


def test_weights_of_another_version_are_an_error(uninterrupted, prepared, tiny, tmp_path):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    for meta in run.glob(f"checkpoints/*/{checkpoint.META}"):
        meta.write_text(meta.read_text().replace(f'"weights": {VERSION}', '"weights": 3'))
    with pytest.raises(TrainingError, match="made by another version of svc; train again"):
        train(prepared, run, tiny, cpu=True)
    with pytest.raises(TrainingError, match="made by another version of svc"):
        checkpoint.ema_weights(checkpoint.load_named(run, "last"))


def test_a_damaged_checkpoint_is_skipped(uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    (checkpoint.newest(run).folder / "generator.safetensors").write_bytes(b"half")
    assert checkpoint.newest(run).step == 8
    (run / "checkpoints" / "step_00000008" / "meta.json").unlink()
    assert checkpoint.newest(run).step == 6


def test_the_newest_and_the_best_checkpoints_are_kept(prepared, tiny, tmp_path):
    """The best is written when it is best, between two that are due."""
    train(prepared, tmp_path, replaced(tiny, checkpoint_every=5, validate_every=6, keep_checkpoints=2), cpu=True)
    names = {folder.name for folder in (tmp_path / "checkpoints").iterdir()}
    best = checkpoint.newest(tmp_path).meta["best_step"]
    assert names == {"step_00000010", "step_00000012", f"step_{best:08d}"}
    assert checkpoint.load_named(tmp_path, "best").step == best


def make_spectral_loss_nan(monkeypatch, steps):
    """The spectral loss is no number in some steps."""
    real, spectral = loop.train_step, step.reconstruction_losses

    def broken(**audio):
        found = spectral(**audio)
        return found | {"spectral": found["spectral"] * float("nan")} if broken.at in steps else found

    def watched(state, *others):
        broken.at = state.step
        return real(state, *others)

    monkeypatch.setattr(step, "reconstruction_losses", broken)
    monkeypatch.setattr(loop, "train_step", watched)


def test_an_update_that_is_not_finite_is_skipped_and_counted(prepared, tiny, tmp_path, monkeypatch):
    make_spectral_loss_nan(monkeypatch, {5, 7})
    train(prepared, tmp_path, tiny, cpu=True)
    last = checkpoint.newest(tmp_path)
    assert (last.step, last.meta["num_skipped_updates"]) == (12, 2)
    assert all(torch.isfinite(value).all() for value in checkpoint.ema_weights(last).values())
    assert [row["skipped_updates"] for row in losses(tmp_path)] == [0] * 5 + [1, 1] + [2] * 5


def test_a_run_without_finite_losses_ends(prepared, tiny, tmp_path, monkeypatch):
    make_spectral_loss_nan(monkeypatch, set(range(5, 99)))
    monkeypatch.setattr(state, "MAX_CONSECUTIVE_SKIPS", 3)
    with pytest.raises(TrainingError, match="step 7: spectral is not finite, for 3 steps"):
        train(prepared, tmp_path, tiny, cpu=True)
    kept = checkpoint.ema_weights(checkpoint.newest(tmp_path))
    assert all(torch.isfinite(value).all() for value in kept.values())


def test_full_disk_leaves_the_last_checkpoint(uninterrupted, prepared, tiny, tmp_path, monkeypatch):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    before = sorted((run / "checkpoints").iterdir())

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    size = sum(path.stat().st_size for path in before[-1].glob("*.safetensors"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=size - 5_000_000))
    with pytest.raises(TrainingError, match=r"No space left on device.; free 5 MB and run the same command again"):
        train(prepared, run, replaced(tiny, steps=13), cpu=True, allow_config_change=True)
    monkeypatch.undo()
    assert checkpoint.newest(run).step == 12
    assert sorted((run / "checkpoints").iterdir()) == before


GOLDEN = {1: 6.8275537, 6: 7.0438714, 12: 6.8775797}


def test_golden_losses(uninterrupted):
    """A refactor reproduces these; a change that is meant to move them moves them here, by hand."""
    total = {row["step"]: row["spectral"] for row in losses(uninterrupted)}
    assert total[1] == pytest.approx(GOLDEN[1], rel=1e-4)
    assert {step: total[step] for step in GOLDEN} == pytest.approx(GOLDEN, rel=1e-3)


def test_a_damaged_newer_checkpoint_does_not_replace_the_one_just_written(tiny, tmp_path):
    state = new_state(tiny)
    for state.step in (10, 15):
        written = checkpoint.write(tmp_path, state, {}, keep=3)
    (written.folder / "generator.safetensors").write_bytes(b"half")
    state.step = 12
    checkpoint.write(tmp_path, state, {}, keep=1)
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["step_00000012"]
    assert checkpoint.newest(tmp_path).step == 12


def test_the_folder_is_locked_before_a_checkpoint_is_chosen(prepared, tiny, tmp_path, monkeypatch):
    """A second start while the first ends would resume from an older step."""

    def newest(run):
        with pytest.raises(TrainingError, match="another training runs there"), lock_run(run):
            pass
        raise InterruptedError

    monkeypatch.setattr(checkpoint, "newest", newest)
    with pytest.raises(InterruptedError):
        train(prepared, tmp_path, tiny, cpu=True)
