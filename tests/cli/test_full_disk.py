"""A full disk, wherever a command meets it, is one line and exit code 2."""

import errno
import threading
from types import SimpleNamespace

import pytest

from svc.cli import fit
from svc.cli.app import run_app
from svc.data import manifest
from svc.errors import FULL_DISK, AudioError
from svc.evaluation import likeness
from svc.inference import converter
from svc.utils import atomic
from svc.utils.progress import progress


def failing(error: OSError):
    def program(**_arguments) -> None:
        raise error

    return program


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file(number, capsys):
    with pytest.raises(SystemExit) as ended:
        run_app(failing(OSError(number, "No space left on device", "out/report.html")))
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"svc: out/report.html: {FULL_DISK}\n"


def test_a_full_disk_without_a_file_and_a_bar_in_between(capsys):
    def program(**_arguments) -> None:
        for _ in progress([1, 2], "train", "step", 2):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SystemExit):
        run_app(program)
    assert capsys.readouterr().err.splitlines()[-1] == f"svc: {FULL_DISK}"


def test_the_thread_of_tensorboard_prints_no_traceback(capsys, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    run_app(lambda **_arguments: None)
    for number in (errno.ENOSPC, errno.EACCES):
        error = OSError(number, "in a thread")
        threading.excepthook(threading.ExceptHookArgs((OSError, error, None, threading.current_thread())))
    assert capsys.readouterr().err.count("in a thread") == 1


def test_a_fit_ends_without_room_for_its_preview(monkeypatch, tmp_path, capsys):
    def full(*_arguments) -> None:
        raise AudioError("ann.wav: cannot be written")

    for module, name in ((converter, "Converter"), (manifest, "read"), (likeness, "convert_phrase")):
        monkeypatch.setattr(module, name, lambda *_arguments: None)
    monkeypatch.setattr(likeness, "write_preview", full)
    monkeypatch.setattr(likeness, "measure_likeness", lambda *_arguments: None)
    speakers, nearest = [SimpleNamespace(name="Ann")], SimpleNamespace(nearest=[])
    fit._listen(
        SimpleNamespace(voice=SimpleNamespace(speakers=speakers), initial=nearest), tmp_path, tmp_path / "a.wav"
    )
    assert capsys.readouterr().out.splitlines()[-1] == "no preview: ann.wav: cannot be written"


def test_a_write_that_fails_names_its_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    def full(_handle) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "voice").write_bytes(b"old")
    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space") as failed:
        atomic.write_bytes(tmp_path / "voice", b"new", sync=True)
    assert failed.value.filename == str(tmp_path / "voice")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("voice", b"old")]


def test_other_errors_are_not_hidden():
    with pytest.raises(PermissionError):
        run_app(failing(PermissionError(errno.EACCES, "Permission denied")))
