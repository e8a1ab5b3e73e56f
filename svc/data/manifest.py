"""Manifest of a prepared folder: clips, speakers, rejected files, and the fingerprint of the features."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from svc.audio.files import Audio
from svc.config import Config
from svc.errors import DataError
from svc.features.cache import FeatureCache, from_int16
from svc.features.speaker import Speaker
from svc.utils.atomic import write_bytes

FULL_BAND = 0.95  # of the widest band of all clips
MANIFEST, SPEAKERS, FEATURES, REJECTED = "manifest.jsonl", "speakers.json", "features.json", "rejected.jsonl"


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording of one speaker, or a slice of a long one."""

    path: str  # of the file, relative to the data folder; a slice has its seconds as a media fragment, ``a.wav#t=0,14``
    speaker: str  # name
    key: str  # of its entry in the feature cache
    frames: int  # N
    active: int  # frames within 40 dB of the loudest frame of the recording
    split: str  # ``train``, ``valid``, or ``test``, which nothing uses before the voice is finished
    group: str = ""  # what must stay on one side of the split with it, as a song; empty: the file
    kind: str = ""  # ``song`` or ``speech``; empty where it is not known
    language: str = ""  # BCP 47 tag; empty where it is not known
    licence: str = ""  # SPDX identifier or words; empty where it is not known
    band: float = 0.0  # Hz, upper edge of what the recording holds; 0 where it is not known
    audio_hash: str = ""  # fingerprint of its samples, hexadecimal; empty in folders prepared before there was one

    @property
    def split_unit(self) -> str:
        """What the split never cuts: the group, or the file with all of its slices."""
        return self.group or self.path.partition("#t=")[0]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A prepared folder as read; ``sha256`` is the hash of the table of clips."""

    folder: Path
    clips: tuple[Clip, ...]
    speakers: tuple[Speaker, ...]
    features: dict[str, Any]
    sha256: str

    @property
    def cache(self) -> FeatureCache:
        """The features of the clips."""
        return FeatureCache(self.folder / "store")

    def audio(self, clip: Clip) -> Audio:
        """The recording of a clip, at the sample rate of the features."""
        return Audio(from_int16(self.cache.get(clip.key, "audio")), int(self.features["sample_rate"]))

    def split(self, name: str) -> list[Clip]:
        """The clips of ``train``, ``valid`` or ``test``."""
        return [clip for clip in self.clips if clip.split == name]

    def training_clips(self) -> dict[str, list[Clip]]:
        """The training clips of every speaker, in the order of the speakers."""
        clips = by_speaker(self.split("train"))
        return {speaker.name: clips.get(speaker.name, []) for speaker in self.speakers}

    def band_limits(self, config: Config) -> dict[str, float]:
        """Frequency in Hz up to which a clip can be compared with what is generated, by the key of the clip.

        A clip that reaches as high as any has no limit but Nyquist, so that silence is learnt above; unless
        ``loss.limit_widest_band``.
        """
        sample_rate = config.sample_rate
        bands = {clip.key: clip.band or sample_rate / 2 for clip in self.clips}
        widest = sample_rate / 2 if config.loss.limit_widest_band else max(bands.values(), default=0.0)
        full = FULL_BAND * widest
        return {key: band if band < full else sample_rate / 2 for key, band in bands.items()}

    def speaker_index(self, name: str) -> int:
        """Index of a speaker's embedding."""
        return [speaker.name for speaker in self.speakers].index(name)


def write(
    folder: Path,
    clips: Sequence[Clip],
    speakers: Sequence[Speaker],
    rejected: Iterable[dict[str, str]],
    features: dict[str, Any],
) -> None:
    """Write the tables of a prepared folder; ``manifest.jsonl`` goes first and comes last: it makes it valid."""
    (folder / MANIFEST).unlink(missing_ok=True)
    tables = {
        REJECTED: _to_lines(rejected),
        SPEAKERS: json.dumps([asdict(speaker) for speaker in speakers], indent=1) + "\n",
        FEATURES: json.dumps(features, indent=1, sort_keys=True) + "\n",
        MANIFEST: _to_lines(asdict(clip) for clip in clips),
    }
    for name, text in tables.items():
        write_bytes(folder / name, text.encode())


def read(folder: Path) -> Manifest:
    """Read a prepared folder.

    Raises:
        DataError: it is not one, or another version of svc made it.
    """
    folder = Path(folder)
    try:
        table = (folder / MANIFEST).read_bytes()
        rows = [json.loads(line) for line in table.splitlines()]
        if any(row.keys() | {"audio_hash"} != {field.name for field in fields(Clip)} for row in rows):
            raise DataError(f"{folder}: prepared by another version of svc; run `svc prepare` again")
        clips = tuple(Clip(**row) for row in rows)
        speakers = tuple(Speaker(**row) for row in json.loads((folder / SPEAKERS).read_text(encoding="utf-8")))
        features = json.loads((folder / FEATURES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not folder.exists():
            raise DataError(f"{folder}: no such folder; name one made by `svc prepare`") from None
        raise DataError(f"{folder}: not a prepared folder; make one with `svc prepare DATA -o {folder}`") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{folder}: damaged ({error}); run `svc prepare` again") from None
    return Manifest(folder, clips, speakers, features, hashlib.sha256(table).hexdigest())


def by_speaker(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by the name of their speaker, sorted by it."""
    own = groupby(sorted(clips, key=lambda clip: clip.speaker), key=lambda clip: clip.speaker)
    return {name: list(group) for name, group in own}


def _to_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
