"""Who it sounds like, by an encoder that the model was not trained with."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import librosa
import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.encoders.ecapa import EcapaEncoder
from svc.errors import DataError
from svc.evaluation.metrics.spectral import NEPERS, mel_cepstra
from svc.utils.optional import extra

Vector = NDArray[np.float64]
Enrolment = Mapping[str, Sequence[Audio]]

RATE = 16_000  # Hz of what every judge hears, so that a rate tells nobody apart
TRIM = 30.0  # dB below the loudest frame; quieter ends are not shown to a network
LOUD = 20.0  # dB below the loudest frame, what cepstra tell singers apart by
LONGEST = 30.0  # s of a recording
SAME = 1e-6  # between embeddings of one recording


class SpeakerJudge(ABC):
    """Knows singers by some of their recordings and says how like each a recording is, in cosines.

    Args:
        enrolment: recordings of every singer, at least one each.
        described: what it says of those, (clips, D), where another of its kind was asked already.
    """

    def __init__(self, enrolment: Enrolment, described: Mapping[str, Vector] | None = None):
        self.names = list(enrolment)
        self.described = described or {
            name: np.stack([self.describe(audio.first(LONGEST)) for audio in clips])
            for name, clips in enrolment.items()
        }
        self.centre, self.scale = self.frame(np.concatenate(list(self.described.values())))
        self.clips = {name: np.stack([self._unit(row) for row in rows]) for name, rows in self.described.items()}
        self._without = {name: _leave_one_out(rows) for name, rows in self.clips.items()}

    @abstractmethod
    def describe(self, audio: Audio) -> Vector:
        """What the encoder says of a recording: (D,)."""

    def frame(self, raw: Vector) -> tuple[Vector, Vector]:
        """Centre and scale (D,) in which vectors (clips, D) are compared; a network's are taken as they are."""
        return np.zeros(raw.shape[1]), np.ones(raw.shape[1])

    def embed(self, audio: Audio) -> Vector:
        """Unit vector (D,) of the first 30 s of a recording."""
        return self._unit(self.describe(audio.first(LONGEST)))

    def cosines(self, embedding: Vector, *apart: Vector) -> dict[str, float]:
        """Likeness of an embedding (D,) to every singer; the largest names it. NaN where nothing is left to compare.

        Args:
            embedding: of a recording; if its singer is known by it, it is left out there.
            apart: embeddings of recordings to leave out as well, such as the source of a conversion.
        """
        found = {}
        for name, rows in self.clips.items():
            same = np.min([np.abs(rows - other).max(axis=1) for other in (embedding, *apart)], axis=0) < SAME
            found[name] = float(_mean(rows[~same]) @ embedding) if not same.all() else math.nan
        return found

    def likeness(self, embedding: Vector, singer: str) -> float:
        """Mean cosine of an embedding (D,) to a singer known by all recordings but one, for each that is left out.

        The same yardstick as ``ceiling``. NaN for a singer known by one recording.
        """
        return float((self._without[singer] @ embedding).mean()) if len(self.clips[singer]) > 1 else math.nan

    def ceiling(self, singer: str) -> float:
        """Mean cosine of a singer's recordings, each to the others; NaN if there is one alone."""
        rows = self.clips[singer]
        return float((self._without[singer] * rows).sum(axis=1).mean()) if len(rows) > 1 else math.nan

    def _unit(self, vector: Vector) -> Vector:
        moved = (vector - self.centre) / self.scale
        return np.asarray(moved / max(1e-9, float(np.linalg.norm(moved))), dtype=np.float64)


class ResemblyzerJudge(SpeakerJudge):
    """Resemblyzer (GE2E, Wan et al. 1710.10467); its weights come with the package."""

    def __init__(self, enrolment: Enrolment, described: Mapping[str, Vector] | None = None):
        self.encoder = extra("resemblyzer").VoiceEncoder("cpu", verbose=False)
        super().__init__(enrolment, described)

    def describe(self, audio: Audio) -> Vector:
        """(256,)."""
        samples, _ = librosa.effects.trim(resample(audio, RATE).samples, top_db=TRIM)
        level = max(1e-6, float(np.abs(samples).max(initial=0.0)))
        return np.asarray(self.encoder.embed_utterance(samples / level / 2), dtype=np.float64)


class EcapaJudge(SpeakerJudge):
    """ECAPA-TDNN (Desplanques et al. 2005.07143), if its weights lie where ``EcapaEncoder`` looks for them."""

    def __init__(self, enrolment: Enrolment, described: Mapping[str, Vector] | None = None):
        self.encoder = EcapaEncoder()
        super().__init__(enrolment, described)

    def describe(self, audio: Audio) -> Vector:
        """(192,)."""
        samples, _ = librosa.effects.trim(resample(audio, RATE).samples, top_db=TRIM)
        return self.encoder.embed(samples)


class CepstralJudge(SpeakerJudge):
    """Mean and spread of the mel cepstra, measured in the spread of all enrolled recordings; needs no weights."""

    def describe(self, audio: Audio) -> Vector:
        """(48,)."""
        cepstra = mel_cepstra(resample(audio, RATE))
        voice = cepstra[1:, cepstra[0] >= cepstra[0].max(initial=-np.inf) - LOUD * NEPERS]
        return np.concatenate([voice.mean(axis=1), voice.std(axis=1)])

    def frame(self, raw: Vector) -> tuple[Vector, Vector]:
        """Mean and standard deviation over the recordings."""
        return raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)


JUDGES: dict[str, type[SpeakerJudge]] = {
    "resemblyzer": ResemblyzerJudge,
    "ecapa": EcapaJudge,
    "cepstral": CepstralJudge,
}


def judge(name: str, enrolment: Enrolment, described: Mapping[str, Vector] | None = None) -> SpeakerJudge:
    """A judge by name, who knows singers by recordings.

    Raises:
        DataError: there is none of that name, or the extra it needs is not installed.
        WeightsError: its weights are not there.
    """
    if name not in JUDGES:
        raise DataError(f"--identity {name}: no such judge; give one of {', '.join(JUDGES)}")
    return JUDGES[name](enrolment, described)


def _leave_one_out(rows: Vector) -> Vector:
    """Unit means (clips, D) of all rows (clips, D) but each."""
    return np.stack([_mean(np.delete(rows, place, axis=0)) for place in range(len(rows))]) if len(rows) > 1 else rows


def _mean(rows: Vector) -> Vector:
    mean = rows.mean(axis=0)
    return np.asarray(mean / max(1e-9, float(np.linalg.norm(mean))), dtype=np.float64)
