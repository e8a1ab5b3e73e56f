"""Jobs: fits as processes beside the page, which show their progress and end with it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.audio.files import FORMATS
from svc.errors import DataError, printable
from svc.web.limits import Deadline

POLL_SECONDS = 0.5
TERMINATE_SECONDS = 5.0  # that a process gets to end by itself
MAX_LINES = 12
MAX_BYTES = 1 << 16  # read from the end of the log
PROGRESS_BAR = re.compile(r"^([^|]+): +(\d+)%\|.*<([\d:?]+), .*$")  # of tqdm


def fit_command(voice: Path, clips: Path, name: str, out: Path) -> list[str]:
    """The command that fits the speaker of a folder of clips."""
    return [sys.executable, "-m", "svc", "fit", str(clips), "--voice", str(voice), "--name", name, "-o", str(out)]


def safe_name(number: int, name: str) -> str:
    """A file name for an upload, with only the harmless characters of its own name."""
    path = Path(name.replace("\\", "/"))
    suffix = path.suffix.lower() if path.suffix.lower() in FORMATS else ""
    stem = "".join(c if c.isalnum() or c in " -_" else "_" for c in path.stem)
    return f"{number:03d} {stem[:40].strip()}{suffix}"


class Jobs:
    """Running processes."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, command: Sequence[str], folder: Path, deadline: Deadline) -> Iterator[str]:
        """Run a command in a folder and yield its last lines of output twice a second until it ends.

        Raises:
            DataError: it failed, with its message, or took too long.
        """
        log = folder / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603, a list, and our own program
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, start_new_session=True
            )
        self._running.add(process)
        try:
            while process.poll() is None:
                deadline.check()
                yield "\n".join(_last_lines(log))
                time.sleep(POLL_SECONDS)
            yield "\n".join(_last_lines(log))
            if process.returncode:
                raise DataError(_error_message(_last_lines(log)))
        finally:
            _terminate(process)
            self._running.discard(process)

    def close(self) -> None:
        """End all processes."""
        for process in list(self._running):
            _terminate(process)


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - MAX_BYTES))
        text = stream.read().decode(errors="replace")
    lines = [printable(line.rstrip("\r").rpartition("\r")[2]).rstrip() for line in text.split("\n")]
    lines = [PROGRESS_BAR.sub(r"\1: \2 %, \3 left", line).removesuffix(", ? left") for line in lines]
    return [line for line in lines if line and not line.startswith("next: ")][-MAX_LINES:]


def _error_message(lines: list[str]) -> str:
    errors = [line.removeprefix("svc: ") for line in lines if line.startswith("svc: ")]
    return errors[-1] if errors else "the fit failed; try other clips, or `svc fit` in a terminal"


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """End a process and those that it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATE_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # its children may still be there
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
