"""Worker processes of prepare: one that is killed costs its file alone, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from svc.data import prepare
from svc.data.corpora import Recording
from svc.data.process_file import PrepareJob


def die_of_some(job: PrepareJob) -> dict[str, str]:
    """As the kernel's killer of processes does."""
    if "large" in job.recording.path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return job.reject("read")


def test_a_killed_worker_costs_its_file_alone(tmp_path, tiny, monkeypatch):
    names = ["a.wav", "large.wav", "b.wav", "large too.wav", "c.wav"]
    part = [
        PrepareJob(Recording(tmp_path / "Ann" / name, "Ann"), tmp_path, tmp_path / "store", {}, tiny) for name in names
    ]
    monkeypatch.setattr(prepare, "process_file", die_of_some)
    rows = list(prepare._run(part, 2))
    assert [row["path"].rpartition("/")[2] for row in rows] == names
    assert [row["reason"] for row in rows if row["reason"] != "read"] == [
        f"{tmp_path}/Ann/{name}: its process was ended from outside, out of memory?; cut it into shorter files"
        for name in ("large.wav", "large too.wav")
    ]


PARENT = """
import os, sys, time
from multiprocessing import get_context
from pathlib import Path
from svc.utils.distributed import end_with_parent

def work(folder):
    end_with_parent()
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    process = get_context("spawn").Process(target=work, args=(sys.argv[1],))
    process.start()
    process.join()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent(tmp_path, number):
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "pids").mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", tmp_path / "pids"], env=environment)
    try:
        pids = wait_for(lambda: [int(path.name) for path in (tmp_path / "pids").iterdir()])
    finally:
        parent.send_signal(number)
        parent.wait()
    assert wait_for(lambda: not Path(f"/proc/{pids[0]}").exists() or "Z" in Path(f"/proc/{pids[0]}/stat").read_text())


def wait_for(condition):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(0.05)
    raise TimeoutError
