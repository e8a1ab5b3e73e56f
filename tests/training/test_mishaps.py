"""What goes wrong between two steps is one line, and the same command goes on to the same run."""

import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import accelerate
import numpy as np
import pytest
import torch
from runs import losses, replaced, weights

from svc.data import dataset
from svc.errors import FULL_DISK, DataError, TrainingError
from svc.training import checkpoint, logging
from svc.training.loop import train
from svc.training.resume import check_config_unchanged


@pytest.fixture(scope="module")
def short(tiny):
    options = {"steps": 4, "validate_every": 4, "checkpoint_every": 2, "wavenet_start_step": 1, "trackers": []}
    return replaced(tiny, **options, adversarial_start_step=2)


@pytest.fixture(scope="module")
def whole(prepared, short, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole")
    train(prepared, run, short, cpu=True)
    return run


def test_a_full_disk_at_a_line_of_the_losses(whole, prepared, short, tmp_path, monkeypatch):
    append = logging._append

    def full(path, row):
        if row["step"] == 3:
            raise OSError(28, "No space left on device")
        append(path, row)

    with monkeypatch.context() as patch:
        patch.setattr(logging, "_append", full)
        with pytest.raises(TrainingError) as ended:
            train(prepared, tmp_path, short, cpu=True)
    assert str(ended.value) == f"{tmp_path}: {FULL_DISK}"
    assert checkpoint.newest(tmp_path).step == 2
    train(prepared, tmp_path, short, cpu=True)
    assert losses(tmp_path) == losses(whole)
    assert weights(tmp_path) == weights(whole)


def test_a_full_disk_at_tensorboard(prepared, short, tmp_path, monkeypatch):
    """Its file is written by a thread; the next line of the log meets the error."""
    from accelerate.tracking import TensorBoardTracker

    def full(self, values, step=None, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TensorBoardTracker, "log", full)
    traced = replaced(short, trackers=["tensorboard"])
    with pytest.raises(TrainingError, match=FULL_DISK):
        train(prepared, tmp_path, traced, cpu=True)


def test_a_killed_worker_loses_nothing(whole, prepared, short, tmp_path, monkeypatch):
    loading = replaced(short, num_workers=1, checkpoint_every=4)
    load = dataset.SegmentDataset.__getitem__
    items = len(dataset.SegmentDataset(prepared, short))
    fourth = next(iter(dataset.StepSampler(items, short, step=3, rank=0, world=1)))

    def killed(self, item):
        if item == fourth[-1] and torch.utils.data.get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)
        return load(self, item)

    with monkeypatch.context() as patch:
        patch.setattr(dataset.SegmentDataset, "__getitem__", killed)
        with pytest.raises(DataError, match=r"ended from outside, out of memory or /dev/shm\?.* train.num_workers=1"):
            train(prepared, tmp_path, loading, cpu=True)
    assert checkpoint.newest(tmp_path).step in (2, 3)
    train(prepared, tmp_path, loading, cpu=True)
    assert losses(tmp_path) == losses(whole)
    assert weights(tmp_path) == weights(whole)


def test_workers_send_no_tensors(prepared, short):
    """Those would go through /dev/shm."""
    segments = dataset.SegmentDataset(prepared, short)
    items = [segments[0, 0], segments[0, 1]]
    arrays, others = dataset._stack_arrays(items)
    assert {type(array) for array in (*arrays.values(), *others)} == {np.ndarray}
    batch, expected = dataset._from_arrays((arrays, others)), dataset.Batch.stack(items)
    for name in ("audio", "band", "other_speaker"):
        assert torch.equal(getattr(batch, name), getattr(expected, name))
    for name in arrays:
        assert torch.equal(getattr(batch.conditioning, name), getattr(expected.conditioning, name))


@pytest.mark.parametrize(
    ("names", "difference"),
    [(["alto"], "bass"), (["alto", "basso"], "bass, basso"), (["bass", "alto"], "in another order")],
)
def test_other_speakers_are_named(whole, prepared, short, names, difference):
    speakers = tuple(replace(prepared.speakers[0], name=name) for name in names)
    with pytest.raises(TrainingError, match=rf"trained on other speakers \({difference}\); undo that or choose"):
        check_config_unchanged(checkpoint.newest(whole), replace(prepared, speakers=speakers), short, True)


def test_processes_that_do_not_join_all_stop(prepared, short, tmp_path, monkeypatch):
    """`accelerate launch --multi_gpu` without GPUs: Accelerate lets every process work alone."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(accelerate, "PartialState", lambda cpu: SimpleNamespace(num_processes=1))
    with pytest.raises(DataError, match=r"^2 processes were launched, but each works alone.*ACCELERATE_USE_CPU=1 "):
        train(prepared, tmp_path, short)
    assert not list(tmp_path.iterdir())
