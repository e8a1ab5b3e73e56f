"""Zero-shot speakers: a speaker of the base voice from one recording, without training.

A linear map takes the embedding of the speaker encoder to that of the generator: ridge regression over the speakers of
the base voice, whose embeddings of both kinds are known.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from svc.adaptation.speaker_embedding import InitialSpeaker
from svc.adaptation.speech_or_singing import VoiceType, classify_speech_or_singing, singing_range
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.audio.segment import read_segment
from svc.data.speaker_encodings import MAX_SECONDS, encode
from svc.errors import AudioError, DataError
from svc.features.extract import median_voiced_level, shared_extractor
from svc.features.speaker import Speaker
from svc.inference.base_voice import BASE_VOICE
from svc.inference.speaker_mix import SpeakerMix, parse_speaker
from svc.inference.speakers import SpeakerParams, shared_weights_hash, with_speaker
from svc.inference.voice import VoiceFile
from svc.models.weight_names import EMBEDDING, SPEAKER_FILM_OFFSET

ENCODINGS = BASE_VOICE.with_name("base_encodings.safetensors")  # of the speakers of the base voice, by both
MIN_SECONDS, MIN_FILE = 2.0, 0.5  # of all recordings, and of the rest of one
BAND = 8_000.0  # Hz, up to which most speakers of the base voice are known
RIDGE = 0.03  # relative to the mean variance of an encoding
F = NDArray[np.floating]


class _Base(NamedTuple):
    voice: VoiceFile
    weights_hash: str
    encodings: F  # (S, 128)
    embeddings: F  # (S, E)


def add_recording(voice: VoiceFile, path: Path) -> tuple[VoiceFile, SpeakerMix]:
    """``add_speaker`` from one recording, whose file gives the name; and the new speaker."""
    taken = {speaker.name.casefold() for speaker in voice.speakers}
    voice = add_speaker(voice, path.stem if path.stem.casefold() not in taken else f"{path.stem} (recording)", [path])
    return voice, parse_speaker(voice, f"#{voice.speakers[-1].number}")


def add_speaker(
    voice: VoiceFile,
    name: str,
    paths: Sequence[Path],
    about: str = "",
    voice_type: VoiceType | None = None,
    rejected: list[str] | None = None,
) -> VoiceFile:
    """The voice with one more speaker, the last, from up to ``MAX_SECONDS`` of recordings, without training.

    The type of the recordings is detected if not given; ``about`` are licence and note for the card. Recordings that
    cannot be used are rejected with their reason if there are others.

    Raises:
        DataError: the voice is not the base voice or fitted to it, or the recordings are too short or without pitch.
        AudioError: a recording cannot be read.
    """
    if not has_encodings(voice):
        raise DataError("only the base voice takes a speaker from recordings without training; use --voice base, or "
                        "svc fit")  # fmt: skip
    recordings = _read(paths, rejected if rejected is not None else [])
    seconds = sum(audio.seconds for audio in recordings)
    if seconds < MIN_SECONDS:
        raise DataError(f"{paths[0]}: {seconds:.1f} s; give {MIN_SECONDS:g} to {MAX_SECONDS:g} s of one voice")
    extractor, rate = shared_extractor(voice.config), voice.config.sample_rate
    features = [extractor.extract(resample(audio, rate)) for audio in recordings]
    pitch = np.concatenate([one.f0[one.voiced] for one in features])
    if not len(pitch):
        raise DataError(f"{paths[0]}: no pitch was found; record speech or singing of one voice")
    low, median, high = np.percentile(pitch, (5, 50, 95)).tolist()
    level = float(np.mean([median_voiced_level(one.loudness, one.voiced) for one in features]))
    kind = voice_type or classify_speech_or_singing((one.f0, one.voiced) for one in features)
    speaker = singing_range(Speaker(name, seconds, median, low, high, level, BAND), kind)
    return with_speaker(voice, speaker, map_encoding(encode(recordings)), about=about)


def _read(paths: Sequence[Path], rejected: list[str]) -> list[Audio]:
    """The first ``MAX_SECONDS`` of recordings; raises the error of the last if none can be read."""
    recordings: list[Audio] = []
    left = MAX_SECONDS
    for path in paths:
        try:
            blocks = list(read_segment(path, 0.0, left))
        except AudioError as error:
            if path == paths[-1] and not recordings:
                raise
            rejected.append(str(error))
            continue
        recordings.append(Audio(np.concatenate([block.samples for block in blocks]), blocks[0].rate))
        left -= recordings[-1].seconds
        if left < MIN_FILE:
            break
    return recordings


def has_encodings(voice: VoiceFile) -> bool:
    """Whether the embeddings of the speakers by the speaker encoder are known."""
    return ENCODINGS.is_file() and shared_weights_hash(voice) == _base().weights_hash


def initial_speaker(voice: VoiceFile, recordings: Sequence[Audio]) -> InitialSpeaker:
    """Parameters of a speaker from recordings, and the voice's speakers by their similarity."""
    encoding = encode(recordings)
    base = _base()
    order = np.argsort(-(base.encodings @ encoding))
    names = {speaker.number: speaker.name for speaker in voice.speakers}
    numbers = [base.voice.speakers[n].number for n in order.tolist()]
    nearest = [names[number] for number in numbers if number in names]
    return InitialSpeaker(map_encoding(encoding), nearest)


def map_encoding(encoding: F) -> SpeakerParams:
    """Parameters of a speaker of the base voice from an embedding (128,) by the speaker encoder."""
    base = _base()
    predicted = ridge_regression(base.encodings, base.embeddings, encoding[None])[0]
    offset = base.voice.weights[SPEAKER_FILM_OFFSET][0]
    return {EMBEDDING: predicted.astype(np.float32), SPEAKER_FILM_OFFSET: np.zeros_like(offset)}


def ridge_regression(x: F, y: F, new: F, ridge: float = RIDGE) -> F:
    """Predictions (K, E) for ``new`` (K, D) of a ridge regression of y (S, E) on x (S, D), with an intercept."""
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    x = x - centre
    penalty = ridge * len(x) * x.var(axis=0).mean() * np.eye(x.shape[1])
    return mean + (new - centre) @ np.linalg.solve(x.T @ x + penalty, x.T @ (y - mean))


@lru_cache(maxsize=1)
def _base() -> _Base:
    """The base voice, read and hashed once in a process."""
    voice = VoiceFile.read(BASE_VOICE)
    tables = {name: value.astype(np.float64) for name, value in load_file(ENCODINGS).items()}
    return _Base(voice, shared_weights_hash(voice), tables["encodings"], tables["embeddings"])
