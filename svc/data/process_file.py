"""Process one recording: check it, resample it, slice it at silence, and put its features into the cache.

What is there already is not computed again. Of a long recording no more than a slice of content is in memory at a time,
and its audio lives on the disk if it is longer than ten minutes (``svc.audio.disk_buffer``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svc.audio import files
from svc.audio.band import measure_band_of_parts
from svc.audio.chunks import CHUNK_SAMPLES, iter_chunks
from svc.audio.disk_buffer import resample_to_buffer
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.audio.segment import read_segment
from svc.config import Config
from svc.data.corpora.split import Side, file_side
from svc.data.manifest import Clip
from svc.data.slicing import MAX_FRAMES, slice_at_silence
from svc.errors import AudioError, DataError
from svc.features import content, f0
from svc.features.cache import FeatureCache, file_hash, to_int16
from svc.features.extract import measure_loudness, median_voiced_level, shared_extractor
from svc.features.training_data import audio_hash
from svc.utils.units import FRAMES_PER_SECOND

Array = NDArray[np.generic]
Rejected = dict[str, str]  # path, speaker, reason
VALID_SHARE = 0.1
BAND_VERSION = 1  # of its measurement


@dataclass(frozen=True, slots=True)
class PrepareJob:
    """A recording to process.

    Attributes:
        speaker: name.
        path: of the file.
        data: the folder that paths in the manifest are relative to.
        cache: folder of the feature cache.
        fingerprint: of the features, see ``svc.features.extract.feature_fingerprint``.
        config: sample rate and features.
        device: of the networks.
        labels: further fields of ``Clip``, by name: group, kind, language, licence.
        split: side of the split; by the hash of the file's bytes if ``None``.
        valid: share of files for validation where ``split`` is ``None``.
        test: share of files for testing where ``split`` is ``None``.
        start: of the segment in seconds; from the beginning of the file if ``None``.
        end: of the segment in seconds; to the end of the file if ``None``.
    """

    speaker: str
    path: Path
    data: Path
    cache: Path
    fingerprint: dict[str, object]
    config: Config
    device: str = "cpu"
    labels: Mapping[str, Any] = field(default_factory=dict)
    split: Side | None = None
    valid: float = VALID_SHARE
    test: float = 0.0
    start: float | None = None
    end: float | None = None

    @property
    def segment(self) -> dict[str, object]:
        """What the keys of a segment's entries in the cache have more than those of a file."""
        return {} if self.start is None and self.end is None else {"segment": [self.start, self.end]}


@dataclass(frozen=True, slots=True)
class Recording:
    """What the slices of a recording share.

    Attributes:
        audio: at the model's rate, at most full scale.
        loudness: (N,) dB.
        f0: (N,) Hz, 0 where unvoiced.
        slices: frames [first, last) of each.
    """

    audio: Audio
    loudness: NDArray[np.float32]
    f0: NDArray[np.float32]
    slices: list[tuple[int, int]]


def process_file(job: PrepareJob) -> list[Clip] | Rejected:
    """The clips of a recording, one or several slices, with their features in the cache; or why it cannot be used."""
    name = str(job.path.relative_to(job.data))
    try:
        files.check_file(job.path)
        source = file_hash(job.path)
        entries = _read_entries(job, source) or list(_make_entries(job, source))
        band = _band(job, source)
    except AudioError as error:
        return {"path": name, "speaker": job.speaker, "reason": str(error)}
    except OSError as error:
        reason = f"{job.path}: cannot be read ({error.strerror}); check its permissions"
        return {"path": name, "speaker": job.speaker, "reason": reason}
    split = job.split or file_side(source, job.valid, job.test)
    whole = len(entries) == 1 and not job.segment
    offset, cache = job.start or 0.0, FeatureCache(job.cache)
    return [
        Clip(
            name if whole else f"{name}#t={_seconds(first, offset)},{_seconds(last, offset)}",
            job.speaker,
            key,
            last - first,
            active,
            split,
            band=band,
            audio_hash=audio_hash(cache.get(key, "audio").astype(np.int16)).hex(),
            **job.labels,
        )
        for key, first, last, active in entries
    ]


def _seconds(frame: int, offset: float) -> str:
    return f"{round(frame / FRAMES_PER_SECOND + offset, 3):g}"


def _band(job: PrepareJob, source: str) -> float:
    """Hz, of the file or segment at its own rate; measured once."""
    cache = FeatureCache(job.cache)
    key = cache.key(source, {"band": BAND_VERSION} | job.segment)
    cached = _read(cache, key, "band")
    if cached is None:
        band = round(measure_band_of_parts(read_segment(job.path, job.start, job.end)))
        cached = np.array([band], np.float32)
        cache.put(key, {"band": cached})
    return float(cached[0])


_Entry = tuple[str, int, int, int]  # key, first and last frame in the recording, active frames


def _read_entries(job: PrepareJob, source: str) -> list[_Entry]:
    """The entries of a recording if all of them are in the cache, else none."""
    cache = FeatureCache(job.cache)
    whole_key = cache.key(source, job.fingerprint | job.segment)
    whole = _read(cache, whole_key, "cumulative_active")
    if whole is not None:
        return [(whole_key, 0, len(whole) - 1, int(whole[-1]))]
    slices = _read(cache, _f0_key(cache, job, source), "slices")
    clips = []
    for first, last in () if slices is None else slices.tolist():
        key = _slice_key(cache, job, source, first, last)
        active = _read(cache, key, "cumulative_active")
        if active is None:
            return []
        clips.append((key, first, last, int(active[-1])))
    return clips


def _make_entries(job: PrepareJob, source: str) -> Iterator[_Entry]:
    cache = FeatureCache(job.cache)
    f0_key = _f0_key(cache, job, source)
    cached_f0 = _read(cache, f0_key, "f0")
    audio = load_audio(job.path, job.config.sample_rate, job.start, job.end)
    recording = analyse_recording(audio, job.config, cached_f0, job.device)
    sliced, whole_key = len(recording.slices) > 1, cache.key(source, job.fingerprint | job.segment)
    if cached_f0 is None:
        slices = {"slices": np.array(recording.slices)} if sliced else {}
        cache.put(f0_key, {"f0": recording.f0} | slices)
    for first, last in recording.slices:
        key = _slice_key(cache, job, source, first, last) if sliced else whole_key
        arrays = extract_entry(recording, first, last, job.config, job.device)
        cache.put(key, arrays)
        yield key, first, last, int(arrays["cumulative_active"][-1])


def _f0_key(cache: FeatureCache, job: PrepareJob, source: str) -> str:
    """Another content encoder changes neither f0 nor slices."""
    return cache.key(source, {name: own for name, own in job.fingerprint.items() if name != "content"} | job.segment)


def _slice_key(cache: FeatureCache, job: PrepareJob, source: str, first: int, last: int) -> str:
    return cache.key(source, job.fingerprint | job.segment | {"slice": [first, last]})


def _read(cache: FeatureCache, key: str, name: str) -> Array | None:
    try:
        return cache.get(key, name) if cache.has(key) else None
    except DataError:
        return None  # damaged, or of an earlier version: it is made again


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
    recording = analyse_recording(resample(_limit_peak(audio), config.sample_rate), config, device=device)
    return extract_entry(recording, 0, len(recording.f0), config, device)


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


def analyse_recording(audio: Audio, config: Config, f0_curve: Array | None = None, device: str = "cpu") -> Recording:
    """Loudness, f0 and slices of a recording, tracked slice by slice.

    Args:
        audio: at the model's rate.
        config: sample rate and features.
        f0_curve: (N,) Hz, 0 where unvoiced, if it was tracked before.
        device: of the networks.
    """
    loudness = measure_loudness(audio)
    slices = slice_at_silence(loudness)
    if f0_curve is not None:
        return Recording(audio, loudness, f0_curve.astype(np.float32), slices)
    options, models = config.features.f0, shared_extractor(config, device).crepe
    audible = f0.above_silence(loudness, options)
    tracked = [
        f0.track(_excerpt(audio, loudness, a, b), b - a, options, audible=audible[a:b], models=models)
        for a, b in slices
    ]
    curve, periodicity = (np.concatenate(parts) for parts in zip(*tracked, strict=True))
    voiced = f0.voicing(periodicity, loudness, options)
    return Recording(audio, loudness, np.where(voiced, curve, np.float32(0)), slices)


def extract_entry(recording: Recording, first: int, last: int, config: Config, device: str = "cpu") -> dict[str, Array]:
    """What the cache holds of the frames [first, last) of a recording.

    ``relative_loudness`` (N,), ``median_level`` (1,) and ``cumulative_active`` (N + 1,), the number of active frames
    before each frame, refer to the whole recording; the content is normalised within the slice.
    """
    audio = _excerpt(recording.audio, recording.loudness, first, last)
    extractor = shared_extractor(config, device)
    features = extractor.extract(audio, recording.f0[first:last])
    loudness = recording.loudness
    level = median_voiced_level(loudness, recording.f0 > 0)
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
