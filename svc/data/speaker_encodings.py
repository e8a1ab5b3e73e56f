"""Speaker encodings: embeddings of the speakers of a prepared folder by the speaker encoder."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from svc import encoders
from svc.audio.files import Audio
from svc.data.manifest import Manifest
from svc.encoders.speaker_encoder import SpeakerEncoder
from svc.errors import DataError
from svc.utils.progress import progress
from svc.utils.units import FRAMES_PER_SECOND

MAX_SECONDS, MIN_SECONDS = 60.0, 0.2  # of each speaker, and of a recording


def encode(recordings: Iterable[Audio]) -> NDArray[np.float32]:
    """Embedding (D,) of a speaker by the speaker encoder: the mean over recordings, of unit norm.

    Raises:
        DataError: all recordings are silent or shorter than 0.2 s.
    """
    encoder = encoders.shared("speaker")
    assert isinstance(encoder, SpeakerEncoder)
    audible = [audio for audio in recordings if audio.seconds >= MIN_SECONDS and audio.samples.any()]
    if not audible:
        raise DataError("no recording is long and loud enough to take a speaker from; give some seconds of one voice")
    mean = np.mean([encoder.embed(audio) for audio in audible], axis=0)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def encode_speakers(prepared: Manifest) -> NDArray[np.float32]:
    """Embeddings (S, D) of the speakers of a prepared folder, in their order, from up to a minute of training clips."""
    audio = training_audio(prepared)
    return np.stack([encode(own) for own in progress(audio.values(), "encode", "speaker", len(audio))])


def training_audio(prepared: Manifest, seconds: float = MAX_SECONDS) -> dict[str, list[Audio]]:
    """Training clips of every speaker that are not silent, so many seconds together or a little more."""
    audio: dict[str, list[Audio]] = {}
    for name, clips in prepared.training_clips().items():
        active = [clip for clip in clips if clip.active]
        before = np.cumsum([0, *(clip.frames for clip in active)]) / FRAMES_PER_SECOND
        chosen = active[: int(np.searchsorted(before, seconds))]
        audio[name] = [prepared.audio(clip) for clip in chosen]
    return audio


def principal_components(encodings: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Scores (S, size) of encodings (S, D) on their first principal components, of unit mean variance.

    With fewer components than ``size`` the rest is 0.
    """
    centred = encodings - encodings.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:size]
    scores = np.zeros((len(encodings), size), dtype=np.float32)
    scores[:, : len(axes)] = centred @ axes.T
    spread = float(np.sqrt(np.mean(scores[:, : len(axes)] ** 2)))
    return scores / max(spread, 1e-6)
