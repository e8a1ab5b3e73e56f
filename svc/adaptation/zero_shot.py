"""Zero-shot speakers: a speaker of the base voice from one recording, without training.

A linear map takes the embedding of the speaker encoder to that of the generator: ridge regression over the speakers of
the base voice, whose embeddings of both kinds are known.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from svc import encoders
from svc.adaptation.speech_or_singing import classify_speech_or_singing, singing_range
from svc.audio import files
from svc.audio.files import Audio
from svc.audio.find import is_audio
from svc.audio.resample import resample
from svc.encoders.speaker_encoder import SpeakerEncoder
from svc.errors import DataError
from svc.features.extract import median_voiced_level, shared_extractor
from svc.features.speaker import Speaker
from svc.inference.base_voice import BASE_VOICE
from svc.inference.speakers import SpeakerParams, shared_weights_hash, speaker_params, with_speaker
from svc.inference.voice import VoiceFile
from svc.models.weight_names import EMBEDDING, SPEAKER_FILM_OFFSET

ENCODINGS = BASE_VOICE.with_name("base_encodings.safetensors")  # of the speakers of the base voice, by both
MAX_SECONDS = 60.0  # of a recording that are used
MIN_SECONDS = 2.0
RIDGE = 0.3  # relative to the mean variance of an encoding
F = NDArray[np.floating]


def is_recording(voice_speaker: str) -> bool:
    """Whether ``--speaker`` names an audio file."""
    path = Path(voice_speaker)
    return is_audio(path.name) and path.is_file()


def add_recording(voice: VoiceFile, path: Path) -> VoiceFile:
    """The voice with one more speaker, the last, who has the name of a recording's file.

    Raises:
        DataError: the voice is not the base voice or fitted to it, or the recording is too short or without pitch.
        AudioError: the recording cannot be read.
    """
    check_base(voice)
    audio = files.read(path)
    if audio.seconds < MIN_SECONDS:
        raise DataError(f"{path}: lasts {audio.seconds:.1f} s; give {MIN_SECONDS:g} to {MAX_SECONDS:g} s of one voice")
    audio = Audio(audio.samples[: round(MAX_SECONDS * audio.rate)], audio.rate)
    features = shared_extractor(voice.config).extract(resample(audio, voice.config.sample_rate))
    if not features.voiced.any():
        raise DataError(f"{path}: no pitch was found; record speech or singing of one voice")
    low, median, high = np.percentile(features.f0[features.voiced], (5, 50, 95))
    level = float(median_voiced_level(features.loudness, features.voiced))
    kind = classify_speech_or_singing([(features.f0, features.voiced)])
    taken = {speaker.name.casefold() for speaker in voice.speakers}
    name = path.stem if path.stem.casefold() not in taken else f"{path.stem} (recording)"
    speaker = Speaker(name, audio.seconds, float(median), float(low), float(high), level)
    return with_speaker(voice, singing_range(speaker, kind), map_encoding(voice, encode([audio])))


def check_base(voice: VoiceFile) -> None:
    """Raises DataError unless the voice is the base voice, or fitted to it without fine-tuning."""
    if not has_encodings(voice):
        raise DataError("a recording as --speaker needs the base voice; use --voice base, or svc fit for this voice")


def has_encodings(voice: VoiceFile) -> bool:
    """Whether the embeddings of the speakers by the speaker encoder are known."""
    return ENCODINGS.is_file() and shared_weights_hash(voice) == _base_hash()


def encode(recordings: Sequence[Audio]) -> F:
    """Embedding (128,) of a speaker by the speaker encoder: the mean over recordings, of unit norm."""
    encoder = encoders.shared("speaker")
    assert isinstance(encoder, SpeakerEncoder)
    mean = np.mean([encoder.embed(audio) for audio in recordings], axis=0)
    return mean / np.linalg.norm(mean)


def map_encoding(voice: VoiceFile, encoding: F) -> SpeakerParams:
    """Parameters of a speaker from an embedding (128,) by the speaker encoder."""
    known = {name: value.astype(np.float64) for name, value in load_file(ENCODINGS).items()}
    predicted = ridge_regression(known["encodings"], known["embeddings"], encoding[None])[0]
    offset = speaker_params(voice, 0)[SPEAKER_FILM_OFFSET]
    return {EMBEDDING: predicted.astype(np.float32), SPEAKER_FILM_OFFSET: np.zeros_like(offset)}


def ridge_regression(x: F, y: F, new: F, ridge: float = RIDGE) -> F:
    """Predictions (K, E) for ``new`` (K, D) of a ridge regression of y (S, E) on x (S, D), with an intercept."""
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    x = x - centre
    penalty = ridge * len(x) * x.var(axis=0).mean() * np.eye(x.shape[1])
    return mean + (new - centre) @ np.linalg.solve(x.T @ x + penalty, x.T @ (y - mean))


@lru_cache(maxsize=1)
def _base_hash() -> str:
    return shared_weights_hash(VoiceFile.read(BASE_VOICE))
