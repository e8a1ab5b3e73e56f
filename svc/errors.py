"""The exception tree, and errors about files.

SvcError
├── ConfigError     an option is unknown, of the wrong type or out of range
├── AudioError      an audio file cannot be read or is not usable
├── DataError       a data folder, a prepared folder or the feature cache is not as it should be
├── WeightsError    a voice or checkpoint file is refused
└── TrainingError   training cannot go on

Every message is one line that names the file or option and the way out. The command line prints it and
exits with code 2.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_TEXT = 1000  # characters of a message
FULL_DISK = "the disk is full; free some space and run the same command again, it goes on"


class SvcError(Exception):
    """An error that the user can correct; its text says how."""


class ConfigError(SvcError):
    """An option is unknown, of the wrong type or out of range."""


class AudioError(SvcError):
    """An audio file cannot be read or is not usable."""


class DataError(SvcError):
    """A data folder, a prepared folder or the feature cache is not as it should be."""


class WeightsError(SvcError):
    """A voice or checkpoint file is refused."""


class TrainingError(SvcError):
    """Training cannot go on."""


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def os_errors_as(error: type[SvcError], path: Path, problem: str, hint: str) -> Iterator[None]:
    """Turn an ``OSError`` into one line: ``PATH: PROBLEM (REASON); HINT``."""
    try:
        yield
    except OSError as reason:
        raise error(f"{path}: {problem} ({reason.strerror}); {hint}") from None


def printable(text: str) -> str:
    """Text from a stranger's file on one line, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_TEXT]


def file_error(path: Path, reason: str) -> AudioError:
    """The error to raise, its text printable whatever the name."""
    name = str(path)
    return AudioError(f"{name if name.isprintable() else ascii(name)}: {reason}")


def last_message(error: Exception) -> str:
    """The last, most telling part of a library's message."""
    return " ".join(str(error).split()).rstrip(".").split(": ")[-1] or type(error).__name__
