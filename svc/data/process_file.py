"""Process one recording: check it, and put the features of its slices into the cache; what is there is not computed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svc.audio import files
from svc.audio.band import measure_band
from svc.audio.segment import read_segment
from svc.config import Config
from svc.data.corpora import Recording
from svc.data.corpora.split import Side, file_side
from svc.data.extraction import Array, analyse_recording, extract_entry, load_audio
from svc.data.manifest import Clip
from svc.data.sources import Rejected
from svc.errors import AudioError, DataError
from svc.features.cache import FeatureCache, file_hash
from svc.features.training_data import audio_hash
from svc.utils.units import FRAMES_PER_SECOND

BAND_VERSION = 1  # of its measurement


@dataclass(frozen=True, slots=True)
class PrepareJob:
    """A recording to process."""

    recording: Recording  # file or segment of one, and its labels
    data: Path  # the folder that paths in the manifest are relative to
    cache: Path  # folder of the feature cache
    fingerprint: dict[str, object]  # of the features, see ``svc.features.extract.feature_fingerprint``
    config: Config  # sample rate and features
    device: str = "cpu"  # of the networks
    split: Side | None = None  # side of the split; by the hash of the file's bytes if ``None``
    valid: float = 0.1  # share of files for validation where ``split`` is ``None``
    test: float = 0.0  # share of files for testing where ``split`` is ``None``

    def reject(self, reason: str) -> Rejected:
        """The row of a recording that cannot be used."""
        path = str(self.recording.path.relative_to(self.data))
        return {"path": path, "speaker": self.recording.speaker, "reason": reason}


def process_file(job: PrepareJob) -> list[Clip] | Rejected:
    """The clips of a recording, one or several slices, with their features in the cache; or why it cannot be used."""
    recording = job.recording
    try:
        files.check_file(recording.path)
        entries = _Entries(job)
        keys, band = entries.slices(), entries.band()
    except AudioError as error:
        return job.reject(str(error))
    except OSError as error:
        return job.reject(f"{recording.path}: cannot be read ({error.strerror}); check its permissions")
    whole = len(keys) == 1 and not entries.segment
    offset, name = recording.start or 0.0, str(recording.path.relative_to(job.data))
    clips = []
    for key, (first, last) in keys.items():
        with entries.cache.open(key) as entry:
            active, audio = entry.get("cumulative_active"), entry.get("audio")
        clips.append(
            Clip(
                name if whole else f"{name}#t={_seconds(first, offset)},{_seconds(last, offset)}",
                recording.speaker,
                key,
                last - first,
                int(active[-1]),
                job.split or file_side(entries.source, job.valid, job.test),
                recording.group,
                recording.kind,
                recording.language,
                recording.licence,
                band,
                audio_hash(audio.astype(np.int16)).hex(),
            )
        )
    return clips


def _seconds(frame: int, offset: float) -> str:
    return f"{round(frame / FRAMES_PER_SECOND + offset, 3):g}"


class _Entries:
    """The entries of a recording in the cache: f0 and slices, one for the frames of each slice, and the band."""

    def __init__(self, job: PrepareJob):
        self.job, self.cache, self.source = job, FeatureCache(job.cache), file_hash(job.recording.path)
        times = [job.recording.start, job.recording.end]
        self.segment: dict[str, object] = {} if times == [None, None] else {"segment": times}
        self.f0_fingerprint = {name: own for name, own in job.fingerprint.items() if name != "content"}

    def slices(self) -> dict[str, tuple[int, int]]:
        """Frames [first, last) of each slice by its key; what is not in the cache, or damaged, is computed."""
        job, f0_key = self.job, self._key(self.f0_fingerprint)  # another content encoder changes neither f0 nor slices
        curve = self._read(f0_key, "f0")
        if curve is not None:
            cuts = self._read(f0_key, "slices")
            keys = self._slice_keys([(0, len(curve))] if cuts is None else [(int(a), int(b)) for a, b in cuts])
            if all(self._read(key, "cumulative_active") is not None for key in keys):
                return keys
        recording = job.recording
        audio = load_audio(recording.path, job.config.sample_rate, recording.start, recording.end)
        analysis = analyse_recording(audio, job.config, curve, job.device)
        if curve is None:
            cut = {"slices": np.array(analysis.slices)} if len(analysis.slices) > 1 else {}
            self.cache.put(f0_key, {"f0": analysis.f0} | cut)
        keys = self._slice_keys(analysis.slices)
        for key, (first, last) in keys.items():
            self.cache.put(key, extract_entry(analysis, first, last, job.config, job.device))
        return keys

    def band(self) -> float:
        """Upper edge in Hz of the file or segment at its own rate; measured once."""
        key, recording = self._key({"band": BAND_VERSION}), self.job.recording
        cached = self._read(key, "band")
        if cached is None:
            band = round(measure_band(read_segment(recording.path, recording.start, recording.end)))
            cached = np.array([band], np.float32)
            self.cache.put(key, {"band": cached})
        return float(cached[0])

    def _slice_keys(self, slices: list[tuple[int, int]]) -> dict[str, tuple[int, int]]:
        if len(slices) == 1:
            return {self._key(self.job.fingerprint): slices[0]}
        return {self._key(self.job.fingerprint | {"slice": [first, last]}): (first, last) for first, last in slices}

    def _key(self, fingerprint: dict[str, object]) -> str:
        return self.cache.key(self.source, fingerprint | self.segment)

    def _read(self, key: str, name: str) -> Array | None:
        try:
            return self.cache.get(key, name) if self.cache.has(key) else None
        except DataError:
            return None  # damaged, or of an earlier version
