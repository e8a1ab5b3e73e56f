"""Two processes prepare what one would, to the byte; what goes wrong in one of them ends both, with one sentence."""

import contextlib
import io
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate import debug_launcher
from accelerate.state import AcceleratorState

from svc.cli import main
from svc.config import to_tree
from svc.data import prepare, process_file
from svc.errors import DataError
from svc.utils import distributed
from svc.utils.distributed import process_group


@pytest.fixture
def launched(tiny, tmp_path, monkeypatch):
    """`svc prepare` as two processes run it, and what each of them did and said."""
    (tmp_path / "config.yaml").write_text(json.dumps(to_tree(tiny)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # unset, Accelerate warns

    def run(data: Path, mishap=lambda rank, path: None) -> list[dict]:
        AcceleratorState._reset_state(reset_partial_state=True)
        sys.stdout.flush()
        debug_launcher(one_rank, args=(str(data), mishap), num_processes=2)
        return [json.loads(path.read_text()) for path in sorted(tmp_path.glob("rank*.json"))]

    return run


def one_rank(data: str, mishap) -> None:
    torch.set_num_threads(1)
    distributed._GROUP.clear()  # of the process that was forked
    rank = process_group().rank
    done, out, err = [], io.StringIO(), io.StringIO()
    real = process_file.extract_entry

    def watched(analysis, first, last, config, device):
        mishap(rank, Path("out"))
        done.append(last - first)
        return real(analysis, first, last, config, device)

    process_file.extract_entry = watched
    sys.argv = ["svc", "prepare", data, "-o", "out", "-c", "config.yaml"]
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code
        except MemoryError as error:
            code = repr(error)
    output = {"code": code, "done": len(done), "out": out.getvalue(), "err": err.getvalue()}
    Path(f"rank{rank}.json").write_text(json.dumps(output))


def files_of(folder: Path) -> dict[Path, bytes]:
    result = (path for path in folder.rglob("*") if path.is_file() and path.name not in {".lock", "overview.png"})
    return {path.relative_to(folder): path.read_bytes() for path in result}


def sentences(output: dict) -> list[str]:
    return [line for line in output["err"].splitlines() if line.startswith("svc: ")]


def test_two_processes_prepare_what_one_would(singers_folder, tiny, launched, tmp_path):
    data = tmp_path / "data"
    for name in ("alto/0.wav", "alto/1.wav", "bass/0.wav"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(singers_folder / name, data / name)
    for name in ("alto/0b.wav", "bass/1.wav", "loose.wav"):
        (data / name).write_text("words")
    alone = prepare.prepare(data, tmp_path / "alone", tiny, jobs=1)
    first, second = launched(data)
    assert (first["code"], second["code"]) == (0, 0), first["err"] + second["err"]
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    assert [row["path"] for row in alone.rejected] == ["loose.wav", "alto/0b.wav", "bass/1.wav"]
    assert (first["done"], second["done"]) == (2, 1)  # of three and two, two of which are none
    assert "3 clips of 2 speakers are ready in out" in first["out"]
    assert "alto/0b.wav" in first["out"]
    assert "prepare, one of 2 shares: 100%" in first["err"]
    assert second["out"] == second["err"] == ""


def full_disk(rank: int, out: Path) -> None:
    """The second process fails; the first is busy with its first file until that is known."""
    if rank == 1:
        raise DataError("out: cannot be written (No space left on device); free some space")
    until = time.monotonic() + 20
    while not list(out.glob(".failed-*")) and time.monotonic() < until:
        time.sleep(0.01)


def test_an_error_in_one_process_ends_both(singers_folder, launched, tmp_path):
    both = launched(singers_folder, full_disk)
    for output in both:
        assert output["code"] == 2
        assert sentences(output) == ["svc: out: cannot be written (No space left on device); free some space"]
        assert output["out"] == ""
    assert [output["done"] for output in both] == [1, 0]  # of three each
    assert not [path for path in (tmp_path / "out").iterdir() if path.name not in {".lock", "store"}]


def shot(rank: int, _out: Path) -> None:
    if rank == 1:
        os._exit(0)


def test_a_process_without_the_others_is_an_error(singers_folder, launched):
    (output,) = launched(singers_folder, shot)
    assert output["code"] == 2
    (sentence,) = sentences(output)
    assert sentence.startswith("svc: another process of this run has ended (")
    assert sentence.endswith("); see what it says and run it again, what is done is kept")


def test_a_machine_that_does_not_see_the_folders_is_an_error(singers_folder, tiny, tmp_path):
    with pytest.raises(DataError, match=r"\.lock: not seen by every machine; "):
        prepare._check_visible([singers_folder], tmp_path)
    (tmp_path / ".lock").touch()
    prepare._check_visible([singers_folder], tmp_path)
    with pytest.raises(DataError, match="none: not seen by every machine; "):
        prepare._check_visible([tmp_path / "none"], tmp_path)
