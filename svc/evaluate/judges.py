"""Judges from the ``eval`` extra: Praat for melodies, Resemblyzer for who it is."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.errors import DataError
from svc.evaluate.measures import Curve
from svc.units import hop_samples

TRIM = 30.0  # dB below the loudest frame; quieter ends are not shown to the speaker encoder


def praat_pitch(audio: Audio, fmin: float = 65.0, fmax: float = 1100.0) -> Curve:
    """f0 (N,) in Hz, 0 where unvoiced, by Praat's autocorrelation (Boersma 1993), 10 ms."""
    parselmouth = _extra("parselmouth")
    sound = parselmouth.Sound(audio.samples.astype(np.float64), audio.rate)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=fmin, pitch_ceiling=fmax)
    times = (np.arange(len(audio.samples) // hop_samples(audio.rate)) + 0.5) / 100
    return np.nan_to_num(np.array([pitch.get_value_at_time(time) for time in times], dtype=np.float64))


class SpeakerJudge:
    """Cosine similarity to enrolled singers in Resemblyzer's embedding (GE2E, 1710.10467)."""

    def __init__(self, enrolment: Mapping[str, Sequence[Audio]]):
        self._encoder = _extra("resemblyzer").VoiceEncoder("cpu", verbose=False)
        self.names = list(enrolment)
        means = [np.mean([self.embed(audio) for audio in clips], axis=0) for clips in enrolment.values()]
        self._singers = np.stack([mean / np.linalg.norm(mean) for mean in means])

    def embed(self, audio: Audio) -> NDArray[np.float64]:
        """Unit vector (256,) of a recording."""
        import librosa

        samples, _ = librosa.effects.trim(resample(audio, 16_000).samples, top_db=TRIM)
        embedding: NDArray[np.float64] = self._encoder.embed_utterance(samples / max(1e-6, np.abs(samples).max()) / 2)
        return embedding

    def cosines(self, audio: Audio) -> dict[str, float]:
        """Similarity to every singer; the largest names the recording."""
        return dict(zip(self.names, (self._singers @ self.embed(audio)).tolist(), strict=True))


def _extra(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise DataError(f"{name} is not installed; run `pip install -e '.[eval]' -c constraints.txt`") from None
