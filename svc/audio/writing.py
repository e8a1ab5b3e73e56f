"""Atomic audio writer: a file is encoded a part at a time and appears whole or not at all.

Import its functions from ``svc.audio.files``.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from numpy.typing import NDArray

from svc.audio import ffmpeg
from svc.errors import file_error, last_message

if TYPE_CHECKING:
    from svc.audio.files import Audio

MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aif": ("AIFF", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".au": ("AU", "PCM_24"),
    ".caf": ("CAF", "PCM_24"),
    ".w64": ("W64", "PCM_24"),
    ".rf64": ("RF64", "PCM_24"),
}

_AT_ONCE = 1 << 16  # samples: libsndfile 1.2 dies of a long OGG written at once, and makes others in other parts


def write(path: Path, audio: Audio) -> None:
    """Write samples, clipped at ±1, 24-bit where the format has it; the file appears whole or not at all.

    Raises:
        AudioError: the folder or the format does not take the file, or a sample is not a number.
    """
    with open_writer(path, audio.rate) as file:
        file.write(audio.samples)


def open_writer(path: Path, rate: int, channels: int = 1) -> AbstractContextManager[Writer]:
    """``write`` a part at a time, of one or two channels: the file appears when the block ends well.

    Raises:
        AudioError: the folder or the format does not take the file, or a sample is not a number.
    """
    path = Path(path)
    check_format(path, rate)
    if path.suffix.lower() in ffmpeg.WRITABLE:
        return _open_encoder(path, rate, channels)
    return encode_file(path, rate, *FORMATS[path.suffix.lower()], channels=channels)


@contextlib.contextmanager
def _open_encoder(path: Path, rate: int, channels: int) -> Iterator[Writer]:
    with ffmpeg.encoded(path) as wav, encode_file(wav, rate, *FORMATS[".wav"], channels=channels) as writer:
        yield writer


def check_format(path: Path, rate: int | None = None) -> None:
    """Refuse a name that no format goes with, or whose format does not take the rate in Hz.

    Raises:
        AudioError: its ending is not that of an audio format, or is that of one without the rate.
    """
    ending = path.suffix.lower()
    if ending in ffmpeg.WRITABLE:
        ffmpeg.check(path)
        return
    if ending not in FORMATS:
        raise file_error(path, "unknown audio format; end the name in .wav, .flac, .mp3 or .ogg")
    kind, subtype = FORMATS[ending]
    if not soundfile.check_format(kind, subtype):
        raise file_error(path, f"{ending} is not in this build of libsndfile; end the name in .wav")
    if rate is None:
        return
    if not MIN_RATE <= rate <= MAX_RATE:  # libsndfile dies of an OGG of 700 kHz
        raise file_error(path, f"cannot hold {rate} Hz; resample it to between {MIN_RATE} and {MAX_RATE} Hz")
    try:
        with soundfile.SoundFile(BytesIO(), "w", rate, channels=1, subtype=subtype, format=kind) as stream:
            stream.write(np.zeros(1, np.float32))  # FLAC finds out only here
    except (soundfile.SoundFileError, ValueError):
        raise file_error(path, f"{ending} does not take {rate} Hz; end the name in .wav") from None


class Writer:
    """A file that is being written.

    Args:
        path: where it will be.
        stream: that takes its samples.
    """

    def __init__(self, path: Path, stream: soundfile.SoundFile):
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
        reason = f"cannot be written ({last_message(error)}); free some disk space or write a .wav elsewhere"
        raise file_error(path, reason) from None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        path.unlink()


def _close_quietly(stream: soundfile.SoundFile) -> None:
    with contextlib.suppress(soundfile.SoundFileError, OSError):
        stream.close()
