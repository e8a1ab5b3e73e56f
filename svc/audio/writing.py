"""Audio files that appear whole or not at all, written a part at a time."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from svc.errors import detail, refusal

_AT_ONCE = 1 << 16  # samples: libsndfile 1.2 dies of a long OGG written at once, and makes others in other parts


class Writer:
    """A file on its way.

    Args:
        path: where it will be.
        stream: that takes its samples.
    """

    def __init__(self, path: Path, stream: "soundfile.SoundFile"):
        self._path, self._stream = path, stream
        self._held = np.zeros((0,) if stream.channels == 1 else (0, stream.channels), dtype=np.float32)

    def write(self, samples: NDArray[np.float32]) -> None:
        """Add samples (T,), of two channels (T, 2), clipped at ±1; the file is the same in whatever parts they come.

        Raises:
            AudioError: one is not a number, or the disk is full.
        """
        if not np.isfinite(samples).all():
            raise refusal(self._path, "not written, its samples are not numbers; try another voice or checkpoint")
        waiting = np.concatenate([self._held, samples])
        whole = len(waiting) // _AT_ONCE * _AT_ONCE
        with _told(self._path):
            for start in range(0, whole, _AT_ONCE):
                self._stream.write(np.clip(waiting[start : start + _AT_ONCE], -1.0, 1.0))
        self._held = waiting[whole:].copy()

    def finish(self) -> None:
        """Write what is left.

        Raises:
            AudioError: the disk is full.
        """
        with _told(self._path):
            self._stream.write(np.clip(self._held, -1.0, 1.0))
            self._stream.close()


@contextlib.contextmanager
def encoding(path: Path, rate: int, kind: str, subtype: str, channels: int = 1) -> Iterator[Writer]:
    """A file of a format of libsndfile that appears when the block ends well; otherwise nothing is left.

    Raises:
        AudioError: the folder or the disk does not take it.
    """
    temporary = path.with_name(f".svc-{secrets.token_hex(8)}")
    with contextlib.ExitStack() as undo:
        undo.callback(_remove, temporary)
        with _told(path):
            # By descriptor: libsndfile takes a name of - for standard output.
            file = undo.enter_context(temporary.open("xb", buffering=0))
            stream = soundfile.SoundFile(
                file.fileno(), "w", rate, channels=channels, subtype=subtype, format=kind, closefd=False
            )
        undo.callback(_abandon, stream)
        writer = Writer(path, stream)
        yield writer
        writer.finish()
        with _told(path):
            file.close()
            temporary.replace(path)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what goes wrong in writing into one sentence."""
    try:
        yield
    except OSError as error:
        raise refusal(path, f"cannot be written ({error.strerror}); choose another name or folder") from None
    except (soundfile.SoundFileError, ValueError) as error:
        raise refusal(path, f"cannot be written ({detail(error)}); free disk space or write a .wav") from None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        path.unlink()


def _abandon(stream: "soundfile.SoundFile") -> None:
    with contextlib.suppress(soundfile.SoundFileError, OSError):
        stream.close()
