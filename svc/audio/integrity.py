"""Length of the sound in WAV, RF64 and AIFF files: what the header declares against the bytes that are there.

libsndfile reads what is left of such a file cut short without an error, and nothing of one whose recorder could not
write the length. Of other formats ``files.read`` compares the decoded length with the declared one.
"""

import os
import struct
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

PLACEHOLDER = 0x7F000000  # bytes: who cannot know the length declares this or more, up to 0xFFFFFFFF
MAX_CHUNKS = 10_000  # before the samples; more is not an audio file
MPEG_HEADER = 2048  # bytes from the first frame in which the number of frames may stand
_LAYOUTS = {b"RIFF": "<4sI", b"RF64": "<4sI", b"RIFX": ">4sI", b"FORM": ">4sI"}  # of a chunk header: name and length
_KINDS = {b"WAVE", b"AIFF", b"AIFC"}


@dataclass(frozen=True, slots=True)
class SampleChunk:
    """Where the samples lie in a file.

    Attributes:
        start: of the samples in bytes.
        declared: length in bytes by the header.
        size: of the file in bytes.
        field: where the length stands in the header.
        layout: ``struct`` layout of the length.
    """

    start: int
    declared: int
    size: int
    field: int
    layout: str

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there, as far as the header says how many."""
        return not self.has_length or self.start + self.declared <= self.size

    @property
    def has_length(self) -> bool:
        """Whether the declared length can be true."""
        if self.declared == 0:
            return self.size <= self.start
        return self.declared < PLACEHOLDER or self.start + self.declared <= self.size

    def open(self, path: Path) -> FileIO:
        """The file as if its header held the length of what is there."""
        length = min(self.size - self.start, 256 ** struct.calcsize(self.layout) - 1)
        return _Patched(path, self.field, struct.pack(self.layout, length))


def sample_chunk(path: Path) -> SampleChunk | None:
    """The samples of a WAV, RF64 or AIFF file; ``None`` of other formats, or where there are none.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] not in _LAYOUTS or head[8:] not in _KINDS:
            return None
        return _find(stream, os.fstat(stream.fileno()).st_size, _LAYOUTS[head[:4]])


def is_complete(path: Path) -> bool:
    """Whether all samples that a WAV or AIFF header declares are there; true of files of other formats."""
    chunk = sample_chunk(path)
    return chunk is None or chunk.is_complete


def declares_mpeg_length(path: Path) -> bool:
    """Whether the first frame of an MPEG file, or of one in a WAV, holds the number of frames (Xing, Info or VBRI).

    Without, libsndfile estimates the length from the size of the file.
    """
    chunk = sample_chunk(path)
    with path.open("rb") as stream:
        stream.seek(chunk.start if chunk else 0)
        head = stream.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            stream.seek(sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)), os.SEEK_CUR)
            head = b""
        head += stream.read(MPEG_HEADER)
    return any(name in head for name in (b"Xing", b"Info", b"VBRI"))


def _find(stream: BinaryIO, size: int, layout: str) -> SampleChunk | None:
    """The chunk of the samples; the stream is behind the first header."""
    long: tuple[int, int] | None = None  # length and its place; RF64 gives it in a chunk of its own
    for _ in range(MAX_CHUNKS):
        header = stream.read(8)
        if len(header) < 8:
            break
        name, length = struct.unpack(layout, header)
        start = stream.tell()
        if name == b"ds64" and len(sizes := stream.read(16)) == 16:
            long = struct.unpack("<8xQ", sizes)[0], start + 8
        if name == b"SSND":  # offset and block size come first
            return SampleChunk(start, length, size, start - 4, ">I")
        if name == b"data":
            if length == 0xFFFFFFFF and long:
                return SampleChunk(start, long[0], size, long[1], "<Q")
            return SampleChunk(start, length, size, start - 4, layout[0] + "I")
        following = start + length + length % 2
        if following > size:
            break
        stream.seek(following)
    return None


class _Patched(FileIO):
    """A file whose bytes from a place on read as others."""

    def __init__(self, path: Path, place: int, data: bytes):
        super().__init__(path)
        self._place, self._data = place, data

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        first = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for place, byte in enumerate(self._data, self._place - first):
            if 0 <= place < count:
                view[place] = byte
        return count
