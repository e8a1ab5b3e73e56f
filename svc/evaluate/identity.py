"""Who it sounds like, by an encoder that the model was not trained with."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import librosa
import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.errors import DataError, WeightsError
from svc.evaluate.extras import extra
from svc.evaluate.spectrum import NEPERS, mel_cepstra

Vector = NDArray[np.float64]

RATE = 16_000  # Hz of what every judge hears, so that a rate tells nobody apart
TRIM = 30.0  # dB below the loudest frame; quieter ends are not shown to a network
LOUD = 20.0  # dB below the loudest frame, what cepstra tell singers apart by
SAME = 1e-6  # between embeddings of one recording
ECAPA = "speechbrain/spkrec-ecapa-voxceleb"


class SpeakerJudge(ABC):
    """Knows singers by some of their recordings and says how like each a recording is, in cosines.

    Args:
        enrolment: recordings of every singer, at least one each.
    """

    def __init__(self, enrolment: Mapping[str, Sequence[Audio]]):
        self.names = list(enrolment)
        raw = {name: np.stack([self.describe(audio) for audio in clips]) for name, clips in enrolment.items()}
        self.centre, self.scale = self.frame(np.concatenate(list(raw.values())))
        self.clips = {name: np.stack([self._unit(vector) for vector in rows]) for name, rows in raw.items()}
        self.singers = np.stack([_mean(rows) for rows in self.clips.values()])

    @abstractmethod
    def describe(self, audio: Audio) -> Vector:
        """What the encoder says of a recording: (D,)."""

    def frame(self, raw: Vector) -> tuple[Vector, Vector]:
        """Centre and scale (D,) in which vectors (clips, D) are compared; a network's are taken as they are."""
        return np.zeros(raw.shape[1]), np.ones(raw.shape[1])

    def embed(self, audio: Audio) -> Vector:
        """Unit vector (D,) of a recording."""
        return self._unit(self.describe(audio))

    def cosines(self, embedding: Vector) -> dict[str, float]:
        """Likeness of an embedding to every singer; the largest names it.

        A recording that its singer is known by is left out of what it is compared with, so that an enrolled take
        is a fair ceiling.
        """
        found = dict(zip(self.names, (self.singers @ embedding).tolist(), strict=True))
        for name, rows in self.clips.items():
            same = np.abs(rows - embedding).max(axis=1) < SAME
            if same.any() and not same.all():
                found[name] = float(_mean(rows[~same]) @ embedding)
        return found

    def _unit(self, vector: Vector) -> Vector:
        moved = (vector - self.centre) / self.scale
        return np.asarray(moved / max(1e-9, float(np.linalg.norm(moved))), dtype=np.float64)


class ResemblyzerJudge(SpeakerJudge):
    """Resemblyzer (GE2E, Wan et al. 1710.10467); its weights come with the package."""

    def __init__(self, enrolment: Mapping[str, Sequence[Audio]]):
        self.encoder = extra("resemblyzer").VoiceEncoder("cpu", verbose=False)
        super().__init__(enrolment)

    def describe(self, audio: Audio) -> Vector:
        """(256,)."""
        samples, _ = librosa.effects.trim(resample(audio, RATE).samples, top_db=TRIM)
        level = max(1e-6, float(np.abs(samples).max(initial=0.0)))
        return np.asarray(self.encoder.embed_utterance(samples / level / 2), dtype=np.float64)


class EcapaJudge(SpeakerJudge):
    """ECAPA-TDNN (Desplanques et al. 2005.07143) from SpeechBrain, if its weights lie in the hub's cache."""

    def __init__(self, enrolment: Mapping[str, Sequence[Audio]]):
        speaker = extra("speechbrain.inference.speaker", "ecapa")
        hub = extra("huggingface_hub", "ecapa")
        try:
            folder = hub.snapshot_download(ECAPA, local_files_only=True)
        except (OSError, ValueError):
            raise WeightsError(
                f"ecapa: no weights in the cache; run `hf download {ECAPA}`, or take another --identity"
            ) from None
        self.encoder = speaker.EncoderClassifier.from_hparams(source=folder, savedir=folder)
        super().__init__(enrolment)

    def describe(self, audio: Audio) -> Vector:
        """(192,)."""
        import torch

        samples, _ = librosa.effects.trim(resample(audio, RATE).samples, top_db=TRIM)
        return np.asarray(self.encoder.encode_batch(torch.from_numpy(samples)[None])[0, 0], dtype=np.float64)


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


def judge(name: str, enrolment: Mapping[str, Sequence[Audio]]) -> SpeakerJudge:
    """A judge by name, who knows singers by recordings.

    Raises:
        DataError: there is none of that name, or the extra it needs is not installed.
        WeightsError: its weights are not there.
    """
    if name not in JUDGES:
        raise DataError(f"--identity {name}: no such judge; give one of {', '.join(JUDGES)}")
    return JUDGES[name](enrolment)


def _mean(rows: Vector) -> Vector:
    mean = rows.mean(axis=0)
    return np.asarray(mean / max(1e-9, float(np.linalg.norm(mean))), dtype=np.float64)
