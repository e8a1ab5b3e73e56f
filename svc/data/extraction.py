"""Arrays of a recording for the feature cache: read, slice at silence, track f0 and extract features slice by slice.

Of a long recording no more than a slice of content is in memory at a time, and its audio lives on the disk if it is
longer than ten minutes (``svc.audio.chunks``).
"""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.audio.chunks import CHUNK_SAMPLES, iter_chunks, resample_to_buffer
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.audio.segment import read_segment
from svc.config import Config
from svc.features import content, f0
from svc.features.cache import to_int16
from svc.features.extract import measure_loudness, median_voiced_level, shared_extractor
from svc.utils.units import FRAMES_PER_SECOND

Array = NDArray[np.generic]
MAX_FRAMES, MIN_FRAMES = 1500, 300  # of a slice: 15 s and 3 s
GUARD = 15  # frames of silence wanted on either side of a cut


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the slices of a recording share."""

    audio: Audio  # at the model's rate, at most full scale
    loudness: NDArray[np.float32]  # (N,) dB
    f0: NDArray[np.float32]  # (N,) Hz, 0 where unvoiced
    slices: list[tuple[int, int]]  # frames [first, last) of each


def load_audio(path: Path, rate: int, start: float | None = None, end: float | None = None) -> Audio:
    """Read a file, or a segment of it in seconds, at the model's rate in Hz, scaled down where it exceeds full scale.

    Raises:
        AudioError: see ``read_segment``.
    """
    blocks, head, samples = read_segment(path, start, end), [], 0
    for block in blocks:
        head.append(block)
        samples += len(block.samples)
        if samples * FRAMES_PER_SECOND > MAX_FRAMES * block.rate:
            return _limit_peak(resample_to_buffer(chain(head, blocks), rate).audio)
    return resample(_limit_peak(Audio(np.concatenate([block.samples for block in head]), head[0].rate)), rate)


def extract_clip(audio: Audio, config: Config, device: str = "cpu") -> dict[str, Array]:
    """``extract_entry`` of a short recording (T,) at any rate as a whole."""
    analysis = analyse_recording(resample(_limit_peak(audio), config.sample_rate), config, device=device)
    return extract_entry(analysis, 0, len(analysis.f0), config, device)


def _limit_peak(audio: Audio) -> Audio:
    """The same, scaled down to full scale where its peak is above; in place where the samples are on the disk."""
    peak = np.float32(max(float(np.abs(chunk).max()) for chunk in iter_chunks(audio.samples)))
    if peak <= 1:
        return audio
    if not isinstance(audio.samples, np.memmap):
        return Audio(audio.samples / peak, audio.rate)
    for start in range(0, len(audio.samples), CHUNK_SAMPLES):
        audio.samples[start : start + CHUNK_SAMPLES] /= peak
    return audio


def analyse_recording(audio: Audio, config: Config, f0_curve: Array | None = None, device: str = "cpu") -> Analysis:
    """Loudness, f0 and slices of a recording at the model's rate, tracked slice by slice.

    An f0 curve (N,) in Hz, 0 where unvoiced, is one that was tracked before.
    """
    loudness = measure_loudness(audio)
    slices = slice_at_silence(loudness)
    if f0_curve is not None:
        return Analysis(audio, loudness, f0_curve.astype(np.float32), slices)
    options, models = config.features.f0, shared_extractor(config, device).crepe
    audible = f0.above_silence(loudness, options)
    tracked = [
        f0.track(_excerpt(audio, loudness, a, b), b - a, options, audible=audible[a:b], models=models)
        for a, b in slices
    ]
    curve, periodicity = (np.concatenate(parts) for parts in zip(*tracked, strict=True))
    voiced = f0.voicing(periodicity, loudness, options)
    return Analysis(audio, loudness, np.where(voiced, curve, np.float32(0)), slices)


def extract_entry(analysis: Analysis, first: int, last: int, config: Config, device: str = "cpu") -> dict[str, Array]:
    """What the cache holds of the frames [first, last) of a recording.

    ``relative_loudness`` (N,), ``median_level`` (1,) and ``cumulative_active`` (N + 1,), the number of active frames
    before each frame, refer to the whole recording; the content is normalised within the slice.
    """
    audio = _excerpt(analysis.audio, analysis.loudness, first, last)
    extractor = shared_extractor(config, device)
    features = extractor.extract(audio, analysis.f0[first:last])
    loudness = analysis.loudness
    level = median_voiced_level(loudness, analysis.f0 > 0)
    active = loudness[first:last] >= loudness.max() - content.ACTIVE
    return {
        "audio": to_int16(audio.samples[: (last - first) * config.hop]),
        "f0": features.f0,
        "voiced": features.voiced,
        "loudness": loudness[first:last],
        "relative_loudness": loudness[first:last] - level,
        "median_level": np.array([level]),
        "cumulative_active": np.concatenate([[0], np.cumsum(active)]).astype(np.int32),
        "content": features.content.astype(np.float16),
        "perturbed_content": extractor.perturbed_content(audio, features.loudness).astype(np.float16),
    }


def _excerpt(audio: Audio, loudness: NDArray[np.float32], first: int, last: int) -> Audio:
    """The samples of some frames; of the last ones also what is no whole frame any more."""
    hop = audio.rate // FRAMES_PER_SECOND
    stop = last * hop if last < len(loudness) else None
    return Audio(np.ascontiguousarray(audio.samples[first * hop : stop]), audio.rate)


def slice_at_silence(loudness: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Frames [first, last) of the slices of a recording of loudness (N,) in dB: one for 15 s or less, else 3 to 15 s.

    A slice ends at the last silent frame that it can reach: one with 0.15 s on either side that are 40 dB below the
    loudest frame of the recording. Without silence it ends where the loudest frame around is quietest. Nothing is lost:
    every slice begins where the one before it ends.
    """
    frames = len(loudness)
    if frames <= MAX_FRAMES:
        return [(0, frames)]
    padded = np.pad(loudness, GUARD, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * GUARD + 1).max(axis=1)
    around = np.maximum(around, loudness.max() - content.ACTIVE)
    cuts = [0]
    while frames - cuts[-1] > MAX_FRAMES:
        first, last = cuts[-1] + MIN_FRAMES, min(cuts[-1] + MAX_FRAMES, frames - MIN_FRAMES)
        candidates = around[first : last + 1]
        cuts.append(last - int(candidates[::-1].argmin()))
    return list(zip(cuts, [*cuts[1:], frames], strict=True))
