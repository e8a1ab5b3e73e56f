"""Fit job: ``svc fit`` as a process beside the page, which goes on when the page is closed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from svc.audio.files import FORMATS
from svc.errors import DataError, printable

TERMINATE_SECONDS = 5.0  # that a process gets to end by itself
MAX_BYTES = 1 << 16  # read from the end of the log
PROGRESS_BAR = re.compile(
    r"([^|\r\n]+): +(\d+)%\|[^\r\n]*?(?:<([\d:]+),|, ([\d:]+) left)?[^\r\n<]*(?=[\r\n]|$)"
)  # tqdm
STAGES = {  # start and length in the whole, and what the page calls it
    "prepare": (0.0, 0.1, "Reading the recordings"),
    "shift pitch": (0.1, 0.15, "Raising speech to the pitch of singing"),
    "train": (0.3, 0.7, "Learning the voice"),
}


def fit_command(voice: Path, clips: Path, name: str, out: Path) -> list[str]:
    """The command that fits the speaker of a folder of clips."""
    return [sys.executable, "-m", "svc", "fit", str(clips), "--voice", str(voice), "--name", name, "-o", str(out)]


def safe_name(number: int, name: str) -> str:
    """A file name for an upload, with only the harmless characters of its own name."""
    path = Path(name.replace("\\", "/"))
    suffix = path.suffix.lower() if path.suffix.lower() in FORMATS else ""
    stem = re.sub(r"[^\w -]", "_", path.stem)[:40].strip()
    return f"{number:03d} {stem}{suffix}"


class Job:
    """A process with a time limit and a folder, which is removed with it.

    Args:
        command: list of words.
        folder: to run in; gets the log.
        seconds: limit.
    """

    def __init__(self, command: Sequence[str], folder: Path, seconds: float):
        self.folder, self._end, self._log = folder, time.monotonic() + seconds, folder / "log.txt"
        self.stage, self.share = "Starting", 0.0
        environment = os.environ | {"SVC_PROGRESS_SECONDS": "1"}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603, a list, and our own program
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, env=environment,
                start_new_session=True,
            )  # fmt: skip

    def is_running(self) -> bool:
        """Whether it goes on; updates ``stage`` (with the time left) and ``share``, 0 to 1.

        Raises:
            DataError: it failed, with its message, or took too long.
        """
        bars = list(PROGRESS_BAR.finditer(self._text()))
        if bars:
            name, percent, *left = bars[-1].groups()
            start, length, label = STAGES.get(name.strip(), (self.share, 0.0, name.strip().capitalize()))
            remaining = next(filter(None, left), "")
            self.stage = f"{label}, {remaining} left" if remaining and "?" not in remaining else label
            self.share = max(self.share, start + length * int(percent) / 100)
        if self._process.poll() is None:
            if time.monotonic() > self._end:
                raise DataError("the fit took too long; give fewer recordings")
            return True
        if self._process.returncode:
            errors = [line.removeprefix("svc: ") for line in self._text().splitlines() if line.startswith("svc: ")]
            raise DataError(printable(errors[-1]) if errors else "the fit failed; try other recordings")
        return False

    def close(self) -> None:
        """End the process and those that it started, and remove the folder."""
        process = self._process
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TERMINATE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # its children may still be there
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _text(self) -> str:
        with self._log.open("rb") as stream:
            stream.seek(max(0, self._log.stat().st_size - MAX_BYTES))
            return stream.read().decode(errors="replace")
