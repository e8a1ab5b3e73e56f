"""A fit, as a program of its own beside the page: what it prints is shown, and it ends when nobody waits for it."""

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

POLL = 0.5  # s
PATIENCE = 5.0  # s that a program is given to end by itself
SHOWN = 12  # lines
BAR = re.compile(r"^([^|]+): +(\d+)%\|.*<([\d:?]+), .*$")  # of tqdm
TAIL = 1 << 16  # bytes of what it printed


def command(voice: Path, clips: Path, name: str, out: Path) -> list[str]:
    """How the singer of a folder of clips is fitted into a voice."""
    program = [sys.executable, "-m", "svc", "fit", str(clips)]
    return [*program, "--voice", str(voice), "--name", name, "-o", str(out)]


def safe_name(number: int, name: str) -> str:
    """A file name for an upload, of whose own name only what is harmless is kept."""
    path = Path(name.replace("\\", "/"))
    ending = path.suffix.lower() if path.suffix.lower() in FORMATS else ""
    kept = "".join(c if c.isalnum() or c in " -_" else "_" for c in path.stem)
    return f"{number:03d} {kept[:40].strip()}{ending}"


class Programs:
    """Those that run beside the page."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()

    def watch(self, words: Sequence[str], folder: Path, deadline: Deadline) -> Iterator[str]:
        """Run a program in a folder and yield the last lines that it printed, twice a second, until it ends.

        Raises:
            DataError: it failed or took too long; what it said is the sentence.
        """
        log = folder / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603, a list, and our own program
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, start_new_session=True
            )
        self._running.add(process)
        try:
            while process.poll() is None:
                deadline.check()
                yield "\n".join(_lines(log))
                time.sleep(POLL)
            yield "\n".join(_lines(log))
            if process.returncode:
                raise DataError(_reason(_lines(log)))
        finally:
            _end(process)
            self._running.discard(process)

    def close(self) -> None:
        """End them all."""
        for process in list(self._running):
            _end(process)


def _lines(log: Path) -> list[str]:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL))
        text = stream.read().decode(errors="replace")
    lines = [printable(line.rstrip("\r").rpartition("\r")[2]).rstrip() for line in text.split("\n")]  # bars go back
    lines = [BAR.sub(r"\1: \2 %, \3 left", line).removesuffix(", ? left") for line in lines]
    return [line for line in lines if line and not line.startswith("next: ")][-SHOWN:]


def _reason(lines: list[str]) -> str:
    told = [line.removeprefix("svc: ") for line in lines if line.startswith("svc: ")]
    return told[-1] if told else "the fit did not end well; try other clips, or `svc fit` in a terminal"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """See to it that neither a program nor one that it started goes on."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # those that it started may be there still
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
