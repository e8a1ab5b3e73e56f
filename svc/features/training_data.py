"""Training data of a voice: fingerprints of the songs and clips that it was trained on, their licences and credits.

A fingerprint is a hash of five bytes: among 100 000 of them another recording is found by chance once in ten million.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from svc.errors import DataError

if TYPE_CHECKING:  # `svc speakers` needs no NumPy
    import numpy as np
    from numpy.typing import NDArray

HASH_BYTES = 5
UNKNOWN_LICENCE = "not known"
_NON_COMMERCIAL = re.compile(r"\bnc\b|non[- ]?commercial|research only", re.IGNORECASE)
_FREE = re.compile(
    r"\b(mit|isc|zlib|unlicense|bsd|apache|l?gpl|agpl|mpl|cc0|cc[- ]by)\b|public domain|permissive|commercial",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a voice was trained on; empty where it is not known.

    Attributes:
        hashes: of songs by ``song_hash`` and of clips by ``audio_hash``.
        licences: minutes by licence.
        credits: one for each corpus.
    """

    hashes: frozenset[bytes] = frozenset()
    licences: Mapping[str, float] = field(default_factory=dict)
    credits: tuple[str, ...] = ()

    def __or__(self, other: TrainingData) -> TrainingData:
        """Both together."""
        names = dict.fromkeys([*self.licences, *other.licences])
        minutes = {name: self.licences.get(name, 0.0) + other.licences.get(name, 0.0) for name in names}
        return TrainingData(self.hashes | other.hashes, minutes, tuple(dict.fromkeys(self.credits + other.credits)))

    @property
    def card(self) -> dict[str, str]:
        """Headings of a voice's card: licences with minutes, and credits."""
        licences = ", ".join(f"{name} ({minutes:.1f} min)" for name, minutes in self.licences.items())
        texts = {"licences of the recordings": licences, "credits": "; ".join(self.credits)}
        return {heading: text for heading, text in texts.items() if text}

    def to_tree(self) -> dict[str, Any]:
        """For JSON."""
        hashes = base64.b64encode(b"".join(sorted(self.hashes))).decode()
        return {"hashes": hashes, "licences": dict(self.licences), "credits": list(self.credits)}

    @staticmethod
    def from_tree(tree: Mapping[str, Any]) -> TrainingData:
        """From JSON.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is not such a tree.
        """
        data = base64.b64decode(tree["hashes"], validate=True)
        if len(data) % HASH_BYTES:
            raise ValueError("fingerprints of another length")
        hashes = frozenset(data[place : place + HASH_BYTES] for place in range(0, len(data), HASH_BYTES))
        licences = {str(name): float(minutes) for name, minutes in tree["licences"].items()}
        return TrainingData(hashes, licences, tuple(str(credit) for credit in tree["credits"]))


def song_hash(speaker: str, song: str) -> bytes:
    """Fingerprint of a song, or sentence, by a speaker, whatever the take."""
    name = unicodedata.normalize("NFC", f"{speaker}\0{song}").casefold()
    return _hash(name.encode("utf-8", "surrogatepass"))


def audio_hash(samples: NDArray[np.int16]) -> bytes:
    """Fingerprint of the audio of a clip (T,) at the model's rate, whatever its name and its lossless format."""
    return _hash(samples.astype("<i2").tobytes())


def check_licence(licence: str, data: TrainingData) -> None:
    """A licence that allows commercial use fits the recordings.

    Raises:
        DataError: some are non-commercial, and the licence is one like MIT, CC BY or GPL.
    """
    restricted = [name for name in data.licences if _NON_COMMERCIAL.search(name)]
    if restricted and _FREE.search(licence) and not _NON_COMMERCIAL.search(licence):
        raise DataError(
            f"--licence {licence}: {data.licences[restricted[0]]:.1f} minutes of the recordings are {restricted[0]}; "
            "give a non-commercial licence, or train without them"
        )


def minutes_by_licence(recordings: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Minutes by licence, the most first, of recordings (licence, seconds)."""
    minutes: dict[str, float] = {}
    for licence, seconds in recordings:
        name = licence or UNKNOWN_LICENCE
        minutes[name] = minutes.get(name, 0.0) + seconds / 60
    return {name: round(minutes[name], 2) for name in sorted(minutes, key=lambda name: -minutes[name])}


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()
