"""Disk buffer for long recordings: resampled in constant memory, memory-mapped from a temporary file if long."""

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
