"""Whether an audio file is whole: what its container promises against the bytes that are there.

libsndfile reads what is left of a WAV, AIFF, AU, W64, OGG or MP3 file cut short without an error.
"""

import os
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

UNKNOWN_LENGTHS = {0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}  # left by a program that could not seek back
MAX_CHUNKS = 10_000  # before the samples; more is not an audio file


def is_whole(path: Path) -> bool:
    """Whether all bytes are there; FLAC is left to its decoder, which notices.

    Raises:
        ValueError: the file starts like none of the containers that are read.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = _after_id3(stream)
        stream.seek(start)
        head = stream.read(12)
        stream.seek(start)
        for magic, offset, kind, missing in CONTAINERS:
            if head.startswith(magic) and head[offset:].startswith(kind):
                return missing is None or not missing(stream, size)
        if start or _is_mpeg(head):
            return not _mp3_missing(stream, size)
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


_MPEG1_LAYER3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_LAYER3_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_XING_SLACK = 0.99  # encoders disagree on what it counts; mpg123, too, warns beyond 1 %


def _mp3_missing(stream: BinaryIO, size: int) -> bool:
    """Whether the last layer III frame lacks bytes, or the file is shorter than its first frame says."""
    start = position = stream.tell()
    promised = _xing_bytes(stream.read(64))
    stream.seek(start)
    if promised is not None and start + promised * _XING_SLACK > size:
        return True
    while len(header := stream.read(4)) == 4:
        length = _mp3_frame_bytes(header)
        if length is None:
            return False  # tags or padding after the last frame
        position += length
        stream.seek(position)
    return position > size


def _xing_bytes(frame: bytes) -> int | None:
    """Find the length of the stream in a Xing or Info header."""
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 16:
        return None
    flags, *fields = struct.unpack(">III", frame[at + 4 : at + 16])
    return fields[flags & 1] if flags & 2 else None  # the number of frames comes first, where there is one


def _is_mpeg(header: bytes) -> bool:
    return len(header) >= 4 and header[0] == 0xFF and header[1] & 0xE0 == 0xE0 and header[1] & 0x06 != 0


def _mp3_frame_bytes(header: bytes) -> int | None:
    if not _is_mpeg(header) or (header[1] >> 1) & 3 != 1:
        return None
    version, index, rate_index = (header[1] >> 3) & 3, header[2] >> 4, (header[2] >> 2) & 3
    if version == 1 or rate_index == 3 or index in {0, 15}:
        return None
    kbps = (_MPEG1_LAYER3_KBPS if version == 3 else _MPEG2_LAYER3_KBPS)[index]
    rate = (44_100, 48_000, 32_000)[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if version == 3 else 72) * kbps * 1000 // rate + ((header[2] >> 1) & 1)


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
