"""Speaker similarity: cosine of speaker embeddings to the enrolment recordings of each speaker."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio, Samples
from svc.audio.resample import resample
from svc.encoders.ecapa import EcapaEncoder
from svc.errors import DataError
from svc.evaluation.metrics.campplus import CamPlusPlusEncoder
from svc.evaluation.metrics.spectral import NEPERS, mel_cepstra
from svc.utils.optional import import_optional

Vector = NDArray[np.float64]
Enrolment = Mapping[str, Sequence[Audio]]

RATE = 16_000  # Hz for every encoder, so that the sample rate identifies nobody
TRIM = 30.0  # dB below the loudest frame; quieter ends are cut
LOUD = 20.0  # dB below the loudest frame, for the cepstral statistics
MAX_SECONDS = 30.0  # of a recording
ENCODERS = ("campplus", "resemblyzer", "ecapa", "cepstral")
SAME = 1e-6  # difference between embeddings of one recording


class SpeakerSimilarity(ABC):
    """Cosine similarity of recordings to enrolled speakers.

    Args:
        enrolment: recordings of every speaker, at least one each.
        cached_embeddings: the raw embeddings (clips, D) of those, if another instance has computed them.
    """

    def __init__(self, enrolment: Enrolment, cached_embeddings: Mapping[str, Vector] | None = None):
        self.cached_embeddings = cached_embeddings or {
            name: np.stack([self.raw_embedding(audio.first(MAX_SECONDS)) for audio in clips])
            for name, clips in enrolment.items()
        }
        self.names = list(self.cached_embeddings)
        self.centre, self.scale = self.standardisation(np.concatenate(list(self.cached_embeddings.values())))
        self.clips = {
            name: np.stack([self._normalise(row) for row in rows]) for name, rows in self.cached_embeddings.items()
        }
        self._leave_one_out = {name: _leave_one_out(rows) for name, rows in self.clips.items()}

    @abstractmethod
    def raw_embedding(self, audio: Audio) -> Vector:
        """Output of the encoder: (D,)."""

    def standardisation(self, embeddings: Vector) -> tuple[Vector, Vector]:
        """Centre and scale (D,) by which embeddings (clips, D) are standardised; 0 and 1 for networks."""
        return np.zeros(embeddings.shape[1]), np.ones(embeddings.shape[1])

    def embed(self, audio: Audio) -> Vector:
        """Unit vector (D,) of the first 30 s of a recording."""
        return self._normalise(self.raw_embedding(audio.first(MAX_SECONDS)))

    def cosines(self, embedding: Vector, *exclude: Vector) -> dict[str, float]:
        """Cosine of an embedding (D,) to the centroid of every speaker; the largest identifies the speaker.

        Args:
            embedding: of a recording; if it is an enrolment recording itself, it is left out of its centroid.
            exclude: embeddings of more recordings to leave out, such as the source of a conversion.

        Returns:
            NaN for a speaker with nothing left to compare with.
        """
        cosines = {}
        for name, rows in self.clips.items():
            same = np.min([np.abs(rows - other).max(axis=1) for other in (embedding, *exclude)], axis=0) < SAME
            cosines[name] = float(_centroid(rows[~same]) @ embedding) if not same.all() else math.nan
        return cosines

    def prompt_cosine(self, embedding: Vector, speaker: str, *exclude: Vector) -> float:
        """Cosine of an embedding (D,) to one prompt: the first enrolment recording, the longest.

        NaN if it is that recording, or that is to be left out.
        """
        prompt = self.clips[speaker][0]
        same = any(np.abs(prompt - other).max() < SAME for other in (embedding, *exclude))
        return math.nan if same else float(prompt @ embedding)

    def mean_cosine(self, embedding: Vector, speaker: str) -> float:
        """Mean cosine of an embedding (D,) to a speaker's leave-one-out centroids, comparable to ``ceiling``.

        NaN for a speaker with one recording.
        """
        several = len(self.clips[speaker]) > 1
        return float((self._leave_one_out[speaker] @ embedding).mean()) if several else math.nan

    def ceiling(self, speaker: str) -> float:
        """Mean cosine of a speaker's recordings, each to the centroid of the others; NaN if there is only one."""
        rows = self.clips[speaker]
        return float((self._leave_one_out[speaker] * rows).sum(axis=1).mean()) if len(rows) > 1 else math.nan

    def _normalise(self, vector: Vector) -> Vector:
        standard = (vector - self.centre) / self.scale
        return np.asarray(standard / max(1e-9, float(np.linalg.norm(standard))), dtype=np.float64)


class NetworkSimilarity(SpeakerSimilarity):
    """Embeddings of a network, without the silence at both ends.

    Args:
        embed: from samples (T,) at 16 kHz to (D,).
        enrolment: as ``SpeakerSimilarity``.
        cached_embeddings: as ``SpeakerSimilarity``.
    """

    def __init__(
        self,
        embed: Callable[[Samples], Vector],
        enrolment: Enrolment,
        cached_embeddings: Mapping[str, Vector] | None = None,
    ):
        self._network = embed
        super().__init__(enrolment, cached_embeddings)

    def raw_embedding(self, audio: Audio) -> Vector:
        """(D,)."""
        samples, _ = librosa.effects.trim(resample(audio, RATE).samples, top_db=TRIM)
        return np.asarray(self._network(samples), dtype=np.float64)


class CepstralSimilarity(SpeakerSimilarity):
    """Means and standard deviations of mel cepstra, standardised over all enrolment recordings; no weights."""

    def raw_embedding(self, audio: Audio) -> Vector:
        """(48,)."""
        cepstra = mel_cepstra(resample(audio, RATE))
        loud = cepstra[1:, cepstra[0] >= cepstra[0].max(initial=-np.inf) - LOUD * NEPERS]
        return np.concatenate([loud.mean(axis=1), loud.std(axis=1)])

    def standardisation(self, embeddings: Vector) -> tuple[Vector, Vector]:
        """Mean and standard deviation over the recordings."""
        return embeddings.mean(axis=0), np.maximum(embeddings.std(axis=0), 1e-6)


def load_speaker_similarity(
    name: str, enrolment: Enrolment, cached_embeddings: Mapping[str, Vector] | None = None
) -> SpeakerSimilarity:
    """Speaker similarity by the name of an encoder; ``campplus:FOLDER`` names the folder of the weights.

    ``campplus`` is CAM++ (Wang et al. 2303.00332), ``resemblyzer`` GE2E (Wan et al. 1710.10467), ``ecapa`` ECAPA-TDNN
    (Desplanques et al. 2005.07143).

    Raises:
        DataError: no such encoder, or its library is not installed.
        WeightsError: its weights are missing or damaged.
    """
    encoder, _, folder = name.partition(":")
    if name == "cepstral":
        return CepstralSimilarity(enrolment, cached_embeddings)
    if encoder == "campplus":
        embed: Callable[[Samples], Vector] = CamPlusPlusEncoder(Path(folder) if folder else None).embed
    elif name == "resemblyzer":
        embed = _resemblyzer()
    elif name == "ecapa":
        embed = EcapaEncoder().embed
    else:
        raise DataError(f"--speaker-encoder {name}: no such encoder; choose one of {', '.join(ENCODERS)}")
    return NetworkSimilarity(embed, enrolment, cached_embeddings)


def _resemblyzer() -> Callable[[Samples], Vector]:
    """Its weights come with the package; it takes audio with its peak at a half."""
    encoder = import_optional("resemblyzer").VoiceEncoder("cpu", verbose=False)

    def embed(samples: Samples) -> Vector:
        level = max(1e-6, float(np.abs(samples).max(initial=0.0)))
        return np.asarray(encoder.embed_utterance(samples / level / 2))

    return embed


def _leave_one_out(rows: Vector) -> Vector:
    """Centroids (clips, D) of all rows (clips, D) but one each."""
    return (
        np.stack([_centroid(np.delete(rows, place, axis=0)) for place in range(len(rows))]) if len(rows) > 1 else rows
    )


def _centroid(rows: Vector) -> Vector:
    mean = rows.mean(axis=0)
    return np.asarray(mean / max(1e-9, float(np.linalg.norm(mean))), dtype=np.float64)
