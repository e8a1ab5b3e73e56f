"""Limits of uploads and computing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from svc.audio import files
from svc.audio.files import Audio
from svc.audio.integrity import is_complete
from svc.errors import AudioError, file_error

BYTES_PER_MINUTE = 24_000_000  # 48 kHz, two channels of 32 bits
MAX_QUEUE = 8  # requests that wait


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of uploads and computing.

    Attributes:
        minutes: of one song or clip.
        clips: of a new speaker.
        clip_minutes: of all of them together.
        convert_seconds: of computing a conversion.
        fit_seconds: of computing a fit.
    """

    minutes: float = 10.0
    clips: int = 200
    clip_minutes: float = 60.0
    convert_seconds: float = 1800.0
    fit_seconds: float = 7200.0

    @property
    def bytes(self) -> int:
        """Of one uploaded file."""
        return round(self.minutes * BYTES_PER_MINUTE)


def read(path: Path, minutes: float) -> Audio:
    """Mono samples as by ``svc.audio.files.read``, at most some minutes, whatever the header says.

    Raises:
        AudioError: the file is too long, or as in ``svc.audio.files.read``.
    """
    check_length(path, minutes)
    blocks: list[Audio] = []
    for block in files.read_blocks(path):
        blocks.append(block)
        if sum(each.seconds for each in blocks) > 60 * minutes:
            raise _too_long(path, minutes)
    return Audio(np.concatenate([block.samples for block in blocks]), blocks[0].rate)


def check_length(path: Path, minutes: float) -> float:
    """Seconds of a file by its header; 0 where it has none, as reading it then explains.

    Raises:
        AudioError: the file is missing, empty or too long.
    """
    files.check_file(path)
    try:
        if not is_complete(path):
            return 0.0
        with path.open("rb", buffering=0) as file, soundfile.SoundFile(file.fileno(), closefd=False) as stream:
            seconds = stream.frames / stream.samplerate
    except (soundfile.SoundFileError, OSError, ValueError):
        return 0.0
    if seconds > 60 * minutes:
        raise _too_long(path, minutes)
    return seconds


def _too_long(path: Path, minutes: float) -> AudioError:
    return file_error(path, f"longer than {minutes:g} minutes; cut it into parts")
