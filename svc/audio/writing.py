"""Atomic audio writer: a file is encoded a part at a time and appears whole or not at all."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from svc.errors import file_error, last_message

_AT_ONCE = 1 << 16  # samples: libsndfile 1.2 dies of a long OGG written at once, and makes others in other parts


class Writer:
    """A file that is being written.

    Args:
        path: where it will be.
        stream: that takes its samples.
    """

    def __init__(self, path: Path, stream: "soundfile.SoundFile"):
        self._path, self._stream = path, stream
        self._pending = np.zeros((0,) if stream.channels == 1 else (0, stream.channels), dtype=np.float32)

    def write(self, samples: NDArray[np.float32]) -> None:
        """Add samples (T,), of two channels (T, 2), clipped at ±1; the file is the same in whatever parts they come.

        Raises:
            AudioError: one is not a number, or the disk is full.
        """
        if not np.isfinite(samples).all():
            raise file_error(self._path, "not written, its samples are not numbers; try another voice or checkpoint")
        waiting = np.concatenate([self._pending, samples])
        whole = len(waiting) // _AT_ONCE * _AT_ONCE
        with _translate_errors(self._path):
            for start in range(0, whole, _AT_ONCE):
                self._stream.write(np.clip(waiting[start : start + _AT_ONCE], -1.0, 1.0))
        self._pending = waiting[whole:].copy()

    def finish(self) -> None:
        """Write what is left.

        Raises:
            AudioError: the disk is full.
        """
        with _translate_errors(self._path):
            self._stream.write(np.clip(self._pending, -1.0, 1.0))
            self._stream.close()


@contextlib.contextmanager
def encode_file(path: Path, rate: int, kind: str, subtype: str, channels: int = 1) -> Iterator[Writer]:
    """A file of a format of libsndfile that appears when the block ends well; otherwise nothing is left.

    Raises:
        AudioError: the folder or the disk does not take it.
    """
    temporary = path.with_name(f".svc-{secrets.token_hex(8)}")
    with contextlib.ExitStack() as undo:
        undo.callback(_remove, temporary)
        with _translate_errors(path):
            # By descriptor: libsndfile takes a name of - for standard output.
            file = undo.enter_context(temporary.open("xb", buffering=0))
            stream = soundfile.SoundFile(
                file.fileno(), "w", rate, channels=channels, subtype=subtype, format=kind, closefd=False
            )
        undo.callback(_close_quietly, stream)
        writer = Writer(path, stream)
        yield writer
        writer.finish()
        with _translate_errors(path):
            file.close()
            temporary.replace(path)


@contextlib.contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Turn errors of writing into one line."""
    try:
        yield
    except OSError as error:
        raise file_error(path, f"cannot be written ({error.strerror}); choose another name or folder") from None
    except (soundfile.SoundFileError, ValueError) as error:
        raise file_error(path, f"cannot be written ({last_message(error)}); free disk space or write a .wav") from None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        path.unlink()


def _close_quietly(stream: "soundfile.SoundFile") -> None:
    with contextlib.suppress(soundfile.SoundFileError, OSError):
        stream.close()
