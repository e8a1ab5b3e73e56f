"""Speaker similarity: cosine of speaker embeddings to the enrolment recordings of each speaker."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.files import Audio, Samples
from svc.audio.resample import resample
from svc.encoders import campplus
from svc.encoders.base import Encoder
from svc.encoders.campplus import CamPlusPlusEncoder
from svc.encoders.ecapa import EcapaEncoder
from svc.errors import DataError
from svc.evaluation.metrics.spectral import NEPERS, mel_cepstra
from svc.utils.optional import import_optional

Vector = NDArray[np.float64]
Enrolment = Mapping[str, Sequence[Audio]]
Embed = Callable[[Audio], Vector]  # (D,) of a recording

RATE = 16_000  # Hz for every encoder, so that the sample rate identifies nobody
TRIM = 30.0  # dB below the loudest frame; quieter ends are cut
LOUD = 20.0  # dB below the loudest frame, for the cepstral statistics
MAX_SECONDS = 30.0  # of a recording
ENCODERS = ("campplus", "resemblyzer", "ecapa", "cepstral")
SAME = 1e-6  # difference between embeddings of one recording


class SpeakerSimilarity:
    """Cosine similarity of recordings, by an encoder, to speakers enrolled with at least one recording each.

    ``standardised`` embeddings lose the mean and the spread of all enrolment recordings.
    """

    def __init__(self, embed: Embed, enrolment: Enrolment, *, standardised: bool = False):
        self._embed = embed
        raw = {name: [embed(audio.first(MAX_SECONDS)) for audio in clips] for name, clips in enrolment.items()}
        self.centre, self.scale = np.zeros(1), np.ones(1)
        if standardised:
            everything = np.concatenate(list(raw.values()))
            self.centre, self.scale = everything.mean(axis=0), np.maximum(everything.std(axis=0), 1e-6)
        self.clips = {name: np.stack([self._normalise(row) for row in rows]) for name, rows in raw.items()}
        self._leave_one_out = {
            name: np.stack([_centroid(np.delete(rows, place, axis=0)) for place in range(len(rows))])
            for name, rows in self.clips.items()
            if len(rows) > 1
        }

    def embed(self, audio: Audio) -> Vector:
        """Unit vector (D,) of the first 30 s of a recording."""
        return self._normalise(self._embed(audio.first(MAX_SECONDS)))

    def cosines(self, embedding: Vector, *exclude: Vector) -> dict[str, float]:
        """Cosine of an embedding (D,) to the centroid of every speaker; the largest identifies the speaker.

        Left out of the centroids are the recording itself, if it is among them, and others to exclude, such as the
        source of a conversion; NaN for a speaker with nothing left.
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
        others = self._leave_one_out.get(speaker)
        return math.nan if others is None else float((others @ embedding).mean())

    def ceiling(self, speaker: str) -> float:
        """Mean cosine of a speaker's recordings, each to the centroid of the others; NaN if there is only one."""
        others = self._leave_one_out.get(speaker)
        return math.nan if others is None else float((others * self.clips[speaker]).sum(axis=1).mean())

    def _normalise(self, vector: Vector) -> Vector:
        return _unit((vector - self.centre) / self.scale)


def load_speaker_similarity(name: str, enrolment: Enrolment) -> SpeakerSimilarity:
    """Speaker similarity by the name of an encoder; ``campplus:FOLDER`` names the folder of the weights.

    ``campplus`` is CAM++ (Wang et al. 2303.00332), ``resemblyzer`` GE2E (Wan et al. 1710.10467), ``ecapa`` ECAPA-TDNN
    (Desplanques et al. 2005.07143), ``cepstral`` statistics of mel cepstra, which need no weights.

    Raises:
        DataError: no such encoder, or its library is not installed.
        WeightsError: its weights are missing or damaged.
    """
    encoder, _, folder = name.partition(":")
    if name == "cepstral":
        return SpeakerSimilarity(cepstral_statistics, enrolment, standardised=True)
    if encoder == "campplus":
        network = _embedding(CamPlusPlusEncoder(Path(folder) / campplus.FILE if folder else ...))
    elif name == "resemblyzer":
        network = _load_resemblyzer()
    elif name == "ecapa":
        network = _embedding(EcapaEncoder())
    else:
        raise DataError(f"--speaker-encoder {name}: no such encoder; choose one of {', '.join(ENCODERS)}")

    def embed(audio: Audio) -> Vector:
        samples, _ = librosa.effects.trim(resample(audio, RATE).samples, top_db=TRIM)
        return np.asarray(network(samples), dtype=np.float64)

    return SpeakerSimilarity(embed, enrolment)


def cepstral_statistics(audio: Audio) -> Vector:
    """Means and standard deviations (48,) of the mel cepstra of the loud frames."""
    cepstra = mel_cepstra(resample(audio, RATE))
    loud = cepstra[1:, cepstra[0] >= cepstra[0].max(initial=-np.inf) - LOUD * NEPERS]
    return np.concatenate([loud.mean(axis=1), loud.std(axis=1)])


def _embedding(encoder: Encoder) -> Callable[[Samples], Vector]:
    """The layer ``embedding`` of samples (T,) at 16 kHz."""

    def embed(samples: Samples) -> Vector:
        if len(samples) < encoder.min_samples:
            seconds, least = (count / RATE for count in (len(samples), encoder.min_samples))
            raise DataError(f"{seconds:.3f} s are too short for {encoder.name}; it needs {least} s")
        with torch.inference_mode():
            return encoder(torch.tensor(samples)[None])["embedding"][0, :, 0].double().numpy()

    return embed


def _load_resemblyzer() -> Callable[[Samples], Vector]:
    """Its weights come with the package; it takes audio with its peak at a half."""
    encoder = import_optional("resemblyzer").VoiceEncoder("cpu", verbose=False)

    def embed(samples: Samples) -> Vector:
        level = max(1e-6, float(np.abs(samples).max(initial=0.0)))
        return np.asarray(encoder.embed_utterance(samples / level / 2))

    return embed


def _centroid(rows: Vector) -> Vector:
    return _unit(rows.mean(axis=0))


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / max(1e-9, float(np.linalg.norm(vector))), dtype=np.float64)
