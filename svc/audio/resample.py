"""Resampling (soxr), of whole recordings and of streams."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from svc.audio.files import Audio, Samples


def resample(audio: Audio, rate: int) -> Audio:
    """Convert to another rate: round(T · rate / old rate) samples, soxr HQ."""
    if rate == audio.rate:
        return audio
    samples = soxr.resample(audio.samples, audio.rate, rate, quality="HQ")
    return Audio(fit_length(samples, resampled_length(len(audio.samples), audio.rate, rate)), rate)


def resample_stream(stream: Iterable[Samples], old: int, new: int, length: int | None = None) -> Iterator[Samples]:
    """Convert a recording that comes in parts to another rate, to the same samples as ``resample`` of the whole.

    Args:
        stream: the parts (T,), of any lengths.
        old: their rate in Hz.
        new: the rate in Hz of the parts that come out, which begin as soon as soxr knows them.
        length: samples to give in all, cut or padded with silence; as many as ``resample`` if not given.
    """
    convert = _unchanged if old == new else soxr.ResampleStream(old, new, 1, quality="HQ").resample_chunk
    taken = done = 0
    for part in stream:
        taken += len(part)
        converted = convert(part)
        if length is not None:
            converted = converted[: length - done]
        done += len(converted)
        if len(converted):
            yield converted
    total = resampled_length(taken, old, new) if length is None else length
    if total > done:
        yield fit_length(convert(np.zeros(0, dtype=np.float32), last=True), total - done)


def resampled_length(length: int, old: int, new: int) -> int:
    """Samples at the new rate of so many at the old one."""
    return round(length * new / old)


def fit_length(samples: Samples, length: int) -> Samples:
    """Make it exactly so many samples (T, …): cut, or padded with silence."""
    if len(samples) < length:
        samples = np.pad(samples, [(0, length - len(samples))] + [(0, 0)] * (samples.ndim - 1))
    return np.ascontiguousarray(samples[:length], dtype=np.float32)


def _unchanged(samples: Samples, last: bool = False) -> Samples:  # noqa: ARG001
    return samples
