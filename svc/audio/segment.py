"""Segment of an audio file: the samples between two times."""

from collections.abc import Iterator
from pathlib import Path

from svc.audio import files
from svc.audio.files import Audio
from svc.errors import file_error


def read_segment(path: Path, start: float | None, end: float | None) -> Iterator[Audio]:
    """``svc.audio.files.read_blocks`` of a file between two seconds, from its beginning or to its end if ``None``.

    Raises:
        AudioError: the file is bad, or holds no such segment.
    """
    if start is None and end is None:
        yield from files.read_blocks(path)
        return
    position = length = rate = 0
    for block in files.read_blocks(path):  # to its end: only there is known whether the file is good
        rate = block.rate
        first = max(0, round((start or 0.0) * rate) - position)
        last = len(block.samples) if end is None else max(0, round(end * rate) - position)
        part = block.samples[first:last]
        position += len(block.samples)
        length += len(part)
        if len(part):
            yield Audio(part, rate)
    if length < files.MIN_SECONDS * rate:
        raise file_error(path, f"has less than {files.MIN_SECONDS} s between {start} and {end} s; correct the times")
