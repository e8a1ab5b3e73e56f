"""The device that computes: one that is not there is refused, and one that is too small is told in a sentence."""

import pytest
import torch
from test_cli import svc

from svc.cli.app import OUT_OF_MEMORY, check_device
from svc.data import prepare
from svc.errors import DataError
from svc.models.generator import Generator


@pytest.fixture
def two_gpus(monkeypatch):
    """As torch tells of them; nothing is computed there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("device", ["cuda:2", "cuda:9", "cuda:-1", "cuda:", "cuda:x", "cudas", "tpu", "cpu:1", ""])
def test_what_is_not_there_is_refused(device, two_gpus):
    with pytest.raises(DataError, match=rf"^--device {device}: not there; use cpu or cuda or cuda:0 or cuda:1$"):
        check_device(device)


def test_mps_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    check_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DataError, match=r"not there; use cpu$"):
        check_device("mps")


def refused(output: tuple[int, str, str], sentence: str) -> None:
    """Exit code 2 and that one sentence, whatever a bar of progress shows before it."""
    code, out, err = output
    assert (code, out) == (2, "")
    assert [line for line in err.splitlines() if line.startswith("svc: ")] == [f"svc: {sentence}"]
    assert "Traceback" not in err


def test_commands_refuse_a_number_that_is_not_there(world, two_gpus, monkeypatch, capsys):
    (world / "data").mkdir()
    before = sorted(world.rglob("*"))
    sentence = "--device cuda:9: not there; use cpu or cuda or cuda:0 or cuda:1"
    for command in (
        ("convert", "-s", "0", "song.wav"),
        ("prepare", "data", "-o", "out"),
        ("evaluate", "--sources", "data", "-o", "out"),
    ):
        refused(svc(monkeypatch, capsys, *command, "--device", "cuda:9"), sentence)
    assert sorted(world.rglob("*")) == before


def test_many_processes_and_a_gpu_exclude_each_other(world, two_gpus, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(prepare, "prepare", lambda *args_, **_: calls.append(args_[3:]) or prepare.Summary([], [], []))
    arguments = ("prepare", "data", "-o", "out", "--device")
    sentence = "--jobs 4: with --device cuda:1 one process does it all; leave --jobs out"
    refused(svc(monkeypatch, capsys, *arguments, "cuda:1", "--jobs", "4"), sentence)
    for options in (("cuda:1",), ("cuda:1", "--jobs", "1"), ("cpu", "--jobs", "4")):
        assert svc(monkeypatch, capsys, *arguments, *options)[0] == 0
    assert calls == [(None, "cuda:1"), (1, "cuda:1"), (4, "cpu")]


def too_small(*_arguments, **_named):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total of …")


def test_converting_out_of_memory(world, monkeypatch, capsys):
    before = sorted(world.rglob("*"))
    monkeypatch.setattr(Generator, "forward", too_small)
    refused(svc(monkeypatch, capsys, "convert", "-s", "0", "song.wav"), OUT_OF_MEMORY)
    assert sorted(world.rglob("*")) == before


def test_a_missing_library_is_one_line(world, monkeypatch, capsys):
    def missing(*_arguments, **_named):
        raise ModuleNotFoundError("No module named 'novel'", name="novel")

    monkeypatch.setattr(Generator, "forward", missing)
    sentence = "novel is not installed; install svc again with pip, or in a clone run bash tools/setup"
    refused(svc(monkeypatch, capsys, "convert", "-s", "0", "song.wav"), sentence)
