"""Long recordings in constant memory: plain and overlapping chunks, and a resampled buffer, on disk if it is long."""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from svc.audio.files import Audio, Samples
from svc.audio.resample import fit_length, resample_stream
from svc.errors import AudioError
from svc.utils.units import hop_samples

MAX_SECONDS_IN_MEMORY = 600  # seconds; what is longer is not kept in memory
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


@dataclass(frozen=True, slots=True)
class BufferedAudio:
    """A resampled recording.

    Attributes:
        audio: at the new rate, padded with silence to whole frames of 10 ms. The samples (T,) of a long recording are
            memory-mapped from a file without a name, which vanishes with them.
        rate: Hz before.
        length: samples before.
    """

    audio: Audio
    rate: int
    length: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.rate


def resample_to_buffer(blocks: Iterable[Audio], rate: int) -> BufferedAudio:
    """Resample a recording that comes in blocks of one rate, at least one of them.

    Args:
        blocks: from ``files.blocks``, or the whole in a list.
        rate: Hz to bring them to, a multiple of 100.

    Raises:
        AudioError: there is no room on the disk, or what the blocks raise.
    """
    source = iter(blocks)
    first = next(source)
    length = 0

    def counted() -> Iterator[Samples]:
        nonlocal length
        for block in chain([first], source):
            length += len(block.samples)
            yield block.samples

    samples = buffer_samples(_framed(resample_stream(counted(), first.rate, rate), hop_samples(rate)), rate)
    return BufferedAudio(Audio(samples, rate), first.rate, length)


def _framed(stream: Iterator[Samples], hop: int) -> Iterator[Samples]:
    """The same, and silence to the end of the last frame."""
    count = 0
    for part in stream:
        count += len(part)
        yield part
    yield np.zeros(-count % hop, dtype=np.float32)


def buffer_samples(stream: Iterator[Samples], rate: int) -> Samples:
    """Samples (T,) or (T, C) that come in parts as one array, memory-mapped from a temporary file if they are long.

    Raises:
        AudioError: there is no room on the disk.
    """
    kept: list[Samples] = []
    count = 0
    for part in stream:
        kept.append(part)
        count += len(part)
        if count > MAX_SECONDS_IN_MEMORY * rate:
            return _on_disk(chain(kept, stream))
    return fit_length(np.concatenate(kept), count)


def _on_disk(stream: Iterable[Samples]) -> Samples:
    count = 0
    try:
        with tempfile.TemporaryFile() as file:
            for part in stream:
                file.write(np.ascontiguousarray(part).data)
                count += len(part)
            file.flush()
            return np.memmap(file, dtype=np.float32, mode="r+", shape=(count, *part.shape[1:]))
    except OSError as error:
        raise AudioError(
            f"{tempfile.tempdir or 'temporary files'}: no room for a long recording, of which there were "
            f"{count * 4 / 1e6:.0f} MB so far ({error.strerror}); free some disk space or set TMPDIR to another folder"
        ) from None
