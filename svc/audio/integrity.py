"""Whether an audio file is whole: what its container promises against the bytes that are there.

libsndfile reads what is left of a WAV, AIFF, AU, W64, OGG or MP3 file cut short without an error.
"""

import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from svc.audio import mp3

UNKNOWN_LENGTHS = {0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}  # left by a program that could not seek back
MAX_CHUNKS = 10_000  # before the samples; more is not an audio file


def is_whole(path: Path) -> bool:
    """Whether all bytes are there; FLAC is left to its decoder, which notices.

    Raises:
        ValueError: the file starts like none of the containers that are read.
    """
    with path.open("rb") as stream:
        missing = _check_for(stream)
        return missing is None or not missing(stream, os.fstat(stream.fileno()).st_size)


def mp3_lengths(path: Path) -> range | None:
    """Numbers of samples that an MP3 may give, none if it contradicts itself; None for other files.

    Raises:
        ValueError: the file starts like none of the containers that are read.
    """
    with path.open("rb") as stream:
        return mp3.lengths(stream) if _check_for(stream) is mp3.missing else None


def _check_for(stream: BinaryIO) -> "_Check | None":
    """Choose the check for missing bytes, leaving the stream at the start of the container."""
    start = _after_id3(stream)
    stream.seek(start)
    head = stream.read(12)
    stream.seek(start)
    for magic, offset, kind, missing in CONTAINERS:
        if head.startswith(magic) and head[offset:].startswith(kind):
            return missing
    if start or _is_mpeg(head):
        return mp3.missing
    raise ValueError("unknown container")


def _after_id3(stream: BinaryIO) -> int:
    """Where the audio starts behind ID3v2 tags."""
    position = 0
    while (head := stream.read(10))[:3] == b"ID3" and len(head) == 10:
        footer = 10 if head[5] & 0x10 else 0
        position += 10 + footer + sum((byte & 0x7F) << (7 * (3 - i)) for i, byte in enumerate(head[6:]))
        stream.seek(position)
    return position


def _chunks_missing(
    stream: BinaryIO, size: int, *, skip: int, layout: str, wanted: bytes, align: int = 1, counted: int = 0
) -> bool:
    """Whether the chunk with the samples ends beyond the end of the file.

    Args:
        stream: at the start of the container.
        size: of the file.
        skip: bytes before the first chunk.
        layout: of a chunk header, the name and the length.
        wanted: name of the chunk with the samples.
        align: chunks start at multiples of it from the start.
        counted: bytes of the chunk header that its length includes.
    """
    start = stream.tell()
    stream.seek(start + skip)
    promised = None  # RF64 gives the length in a chunk of its own
    for _ in range(MAX_CHUNKS):
        header = stream.read(struct.calcsize(layout))
        if len(header) < struct.calcsize(layout):
            break
        name, length = struct.unpack(layout, header)
        if name[:4] == b"ds64" and len(sizes := stream.read(16)) == 16:
            promised = struct.unpack("<8xQ", sizes)[0]
            stream.seek(-16, os.SEEK_CUR)
        if name[:4] == wanted:
            length = promised if length == 0xFFFFFFFF and promised is not None else length
            return length not in UNKNOWN_LENGTHS and stream.tell() + length - counted > size
        following = stream.tell() + max(length - counted, 0)
        following += (start - following) % align
        if following > size:
            break
        stream.seek(following)
    return False


def _au_missing(stream: BinaryIO, size: int, *, layout: str) -> bool:
    start = stream.tell()
    header = stream.read(12)
    if len(header) < 12:
        return True
    offset, length = struct.unpack(layout, header)
    return length not in UNKNOWN_LENGTHS and start + offset + length > size


def _ogg_missing(stream: BinaryIO, size: int) -> bool:
    """Whether the last page lacks bytes or is not marked as the last."""
    position, last = stream.tell(), False
    while len(header := stream.read(27)) == 27 and header[:4] == b"OggS":
        segments = stream.read(header[26])
        position += 27 + header[26] + sum(segments)
        if len(segments) < header[26] or position > size:
            return True
        last = bool(header[5] & 4)
        stream.seek(position)
    return not last


def _is_mpeg(header: bytes) -> bool:
    return len(header) >= 4 and header[0] == 0xFF and header[1] & 0xE0 == 0xE0 and header[1] & 0x06 != 0


_Check = Callable[[BinaryIO, int], bool]
_WAV = partial(_chunks_missing, skip=12, layout="<4sI", wanted=b"data", align=2)
_AIFF = partial(_chunks_missing, skip=12, layout=">4sI", wanted=b"SSND", align=2)
CONTAINERS: tuple[tuple[bytes, int, bytes, _Check | None], ...] = (  # first bytes, then more at an offset
    (b"RIFF", 8, b"WAVE", _WAV),
    (b"RF64", 8, b"WAVE", _WAV),
    (b"RIFX", 8, b"WAVE", partial(_WAV, layout=">4sI")),
    (b"FORM", 8, b"AIFF", _AIFF),
    (b"FORM", 8, b"AIFC", _AIFF),
    (b"riff", 4, b"\x2e\x91\xcf\x11", partial(_WAV, skip=40, layout="<16sQ", align=8, counted=24)),
    (b"caff", 4, b"", partial(_chunks_missing, skip=8, layout=">4sQ", wanted=b"data")),
    (b".snd", 4, b"", partial(_au_missing, layout=">4xII")),
    (b"dns.", 4, b"", partial(_au_missing, layout="<4xII")),
    (b"OggS", 4, b"", _ogg_missing),
    (b"fLaC", 4, b"", None),
)
