"""Truncated WAV files: the length that the header declares against the bytes that are there.

libsndfile reads what is left of a WAV file cut short without an error. Of other formats ``files.read`` compares the
decoded length with the declared one.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

UNKNOWN_LENGTHS = {0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}  # left by a program that could not seek back
MAX_CHUNKS = 10_000  # before the samples; more is not an audio file
_LAYOUTS = {b"RIFF": "<4sI", b"RF64": "<4sI", b"RIFX": ">4sI"}  # of a chunk header: name and length


def is_complete(path: Path) -> bool:
    """Whether all samples that a WAV header declares are there; true of files of other formats."""
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] not in _LAYOUTS or head[8:] != b"WAVE":
            return True
        return not _is_truncated(stream, os.fstat(stream.fileno()).st_size, _LAYOUTS[head[:4]])


def _is_truncated(stream: BinaryIO, size: int, layout: str) -> bool:
    """Whether the data chunk ends beyond the end of the file; the stream is behind the RIFF header."""
    declared = None  # RF64 gives the length in a chunk of its own
    for _ in range(MAX_CHUNKS):
        header = stream.read(8)
        if len(header) < 8:
            break
        name, length = struct.unpack(layout, header)
        start = stream.tell()
        if name == b"ds64" and len(sizes := stream.read(16)) == 16:
            declared = struct.unpack("<8xQ", sizes)[0]
        if name == b"data":
            length = declared if length == 0xFFFFFFFF and declared is not None else length
            return length not in UNKNOWN_LENGTHS and start + length > size
        following = start + length + length % 2
        if following > size:
            break
        stream.seek(following)
    return False
