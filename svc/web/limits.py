"""Limits of uploads and computing."""

from dataclasses import dataclass
from pathlib import Path

import soundfile

from svc.audio import files
from svc.audio.integrity import is_complete
from svc.errors import file_error

BYTES_PER_MINUTE = 24_000_000  # 48 kHz, two channels of 32 bits
MAX_QUEUE = 8  # requests that wait


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of uploads and computing."""

    minutes: float = 10.0  # of one song or clip
    clips: int = 200  # of a new speaker
    clip_minutes: float = 60.0  # of all of them together
    convert_seconds: float = 1800.0  # of computing a conversion
    fit_seconds: float = 7200.0  # of computing a fit

    @property
    def bytes(self) -> int:
        """Of one uploaded file."""
        return round(self.minutes * BYTES_PER_MINUTE)


def check_length(path: Path, minutes: float) -> float:
    """Seconds of a file by its header; 0 where it has none, as reading it then explains.

    Raises:
        AudioError: the file is missing, empty or too long.
    """
    files.check_file(path)
    try:
        seconds = float(soundfile.info(path).duration) if is_complete(path) else 0.0
    except (soundfile.SoundFileError, OSError, ValueError):
        return 0.0
    if seconds > 60 * minutes:
        raise file_error(path, f"longer than {minutes:g} minutes; cut it into parts")
    return seconds
