"""Recordings of hours in parts, so that no more than a part of one is in memory."""

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from svc.audio.files import Samples
from svc.audio.resample import fit_length

PART = 1 << 18  # samples


def parts(samples: Samples) -> Iterator[Samples]:
    """All samples (T,), some seconds at a time; those that live in a file do not stay in memory."""
    for start in range(0, len(samples), PART):
        yield np.ascontiguousarray(samples[start : start + PART], dtype=np.float32)
        forget(samples)


def forget(samples: Samples) -> None:
    """Let samples that live in a file go from memory; they are read again when somebody looks."""
    mapping: object = samples.base
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Block:
    """Frames, and those around them that they are heard with."""

    kept: slice
    heard: slice

    @property
    def inner(self) -> slice:
        """Where among those heard the kept ones are."""
        return slice(self.kept.start - self.heard.start, self.kept.stop - self.heard.start)


def overlapping(
    stream: Iterable[Samples], hop: int, frames: int, size: int, margin: int
) -> Iterator[tuple[Block, Samples]]:
    """All frames of a recording, block by block, each with the audio (T,) of the frames that it is heard with.

    Args:
        stream: the recording in parts; past its end there is silence.
        hop: samples in a frame.
        frames: N.
        size: frames to keep of a block.
        margin: frames to hear before and after them.
    """
    found = [
        Block(
            slice(start, min(frames, start + size)), slice(max(0, start - margin), min(frames, start + size + margin))
        )
        for start in range(0, frames, size)
    ]
    spans = ((block.heard.start * hop, block.heard.stop * hop) for block in found)
    return zip(found, excerpts(stream, spans), strict=True)


def excerpts(stream: Iterable[Samples], spans: Iterable[tuple[int, int]]) -> Iterator[Samples]:
    """Samples [first, last) of a recording that comes in parts, for one span after the other.

    Args:
        stream: the parts (T,) in order.
        spans: first and last may only rise; past the end of the recording there is silence.
    """
    rest = iter(stream)
    held, start = np.zeros(0, dtype=np.float32), 0
    for first, last in spans:
        ready, end = [held], start + len(held)
        while end < last and (part := next(rest, None)) is not None:
            ready.append(part)
            end += len(part)
        held, start = np.concatenate(ready)[first - start :], first
        yield fit_length(held[: last - first], last - first)
