"""Chunked access to long recordings: plain and overlapping chunks in constant memory."""

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from svc.audio.files import Samples
from svc.audio.resample import fit_length

CHUNK_SAMPLES = 1 << 18  # samples


def iter_chunks(samples: Samples) -> Iterator[Samples]:
    """All samples (T,) or (T, C), some seconds at a time; those of a memory map do not stay in memory."""
    for start in range(0, len(samples), CHUNK_SAMPLES):
        yield np.ascontiguousarray(samples[start : start + CHUNK_SAMPLES], dtype=np.float32)
        drop_pages(samples)


def drop_pages(samples: Samples) -> None:
    """Drop the pages of memory-mapped samples; they are read again on access."""
    mapping: object = samples.base
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Block:
    """Frames, and the same with context on both sides."""

    core: slice
    with_context: slice

    @property
    def core_slice(self) -> slice:
        """The core relative to the start of the context."""
        return slice(self.core.start - self.with_context.start, self.core.stop - self.with_context.start)


def iter_overlapping(
    stream: Iterable[Samples], hop: int, frames: int, size: int, margin: int
) -> Iterator[tuple[Block, Samples]]:
    """All frames of a recording in blocks, each with the audio (T,) of its frames and their context.

    Args:
        stream: the recording in parts; past its end there is silence.
        hop: samples in a frame.
        frames: N.
        size: frames in the core of a block.
        margin: frames of context before and after.
    """
    blocks = [
        Block(
            slice(start, min(frames, start + size)), slice(max(0, start - margin), min(frames, start + size + margin))
        )
        for start in range(0, frames, size)
    ]
    spans = ((block.with_context.start * hop, block.with_context.stop * hop) for block in blocks)
    return zip(blocks, iter_spans(stream, spans), strict=True)


def iter_spans(stream: Iterable[Samples], spans: Iterable[tuple[int, int]]) -> Iterator[Samples]:
    """Samples [first, last) of a recording that comes in parts, for one span after the other.

    Args:
        stream: the parts (T,) or (T, C) in order.
        spans: first and last may only rise; past the end of the recording there is silence.
    """
    rest = iter(stream)
    buffer, start = next(rest, np.zeros(0, dtype=np.float32)), 0
    for first, last in spans:
        ready, end = [buffer], start + len(buffer)
        while end < last and (part := next(rest, None)) is not None:
            ready.append(part)
            end += len(part)
        buffer, start = np.concatenate(ready)[first - start :], first
        yield fit_length(buffer[: last - first], last - first)
