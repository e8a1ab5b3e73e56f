"""One training a folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from svc.errors import TrainingError


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One training a folder, which is made if it is not there.

    Raises:
        TrainingError: another is at work there, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise TrainingError(f"{folder}: another training is working there; wait for it or choose another -o") from None
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error.strerror}); choose another -o") from None
    try:
        yield
    finally:
        lock.release()
