"""What the page takes: how much, how long, and for how long it works on it."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from svc.audio import files
from svc.audio.files import Audio
from svc.audio.integrity import is_whole
from svc.errors import AudioError, DataError, refusal

BYTES_A_MINUTE = 24_000_000  # 48 kHz, two channels of 32 bits
WAITING = 8  # who may stand in the queue


@dataclass(frozen=True, slots=True)
class Limits:
    """What the page takes.

    Attributes:
        minutes: of one song or clip.
        clips: of a new singer.
        clip_minutes: of all of them together.
        convert_seconds: of computing, until a conversion is given up.
        fit_seconds: the same for a fit.
    """

    minutes: float = 10.0
    clips: int = 200
    clip_minutes: float = 60.0
    convert_seconds: float = 1800.0
    fit_seconds: float = 7200.0

    @property
    def bytes(self) -> int:
        """Of one uploaded file."""
        return round(self.minutes * BYTES_A_MINUTE)


class Deadline:
    """When to give up.

    Args:
        seconds: from now.
        what: takes too long, for the sentence.
    """

    def __init__(self, seconds: float, what: str):
        self._end, self._seconds, self._what = time.monotonic() + seconds, seconds, what
        self._left = False

    def leave(self) -> None:
        """Nobody waits any more."""
        self._left = True

    def check(self) -> None:
        """Give up if it is time, or nobody waits any more.

        Raises:
            DataError: so it is.
        """
        if self._left:
            raise DataError(f"{self._what} was given up, as its page was closed; open it again")
        if time.monotonic() > self._end:
            raise DataError(f"{self._what} took longer than {self._seconds / 60:g} minutes; give something shorter")


def read(path: Path, minutes: float) -> Audio:
    """Checked mono samples as by ``svc.audio.files.read``, but of so many minutes at most, whatever the header says.

    Raises:
        AudioError: the file is too long, or as in ``svc.audio.files.read``.
    """
    length(path, minutes)
    parts: list[Audio] = []
    for part in files.blocks(path):
        parts.append(part)
        if sum(each.seconds for each in parts) > 60 * minutes:
            raise _too_long(path, minutes)
    return Audio(np.concatenate([part.samples for part in parts]), parts[0].rate)


def length(path: Path, minutes: float) -> float:
    """Seconds that a file says it holds, 0 if it cannot be asked: whoever reads it then says why.

    Raises:
        AudioError: it is missing, empty or too long.
    """
    files.check_file(path)
    try:
        if not is_whole(path):
            return 0.0
        with path.open("rb", buffering=0) as file, soundfile.SoundFile(file.fileno(), closefd=False) as stream:
            seconds = stream.frames / stream.samplerate
    except (soundfile.SoundFileError, OSError, ValueError):
        return 0.0
    if seconds > 60 * minutes:
        raise _too_long(path, minutes)
    return seconds


def _too_long(path: Path, minutes: float) -> AudioError:
    return refusal(path, f"longer than {minutes:g} minutes; cut it, or start the page with a larger --max-minutes")
