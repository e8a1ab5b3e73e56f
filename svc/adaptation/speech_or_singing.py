"""Speech or singing: classify clips by how steady f0 is, and predict the singing range of a speaker."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from svc.data.manifest import Manifest
from svc.features.cache import FeatureCache
from svc.features.speaker import Speaker
from svc.utils.units import semitones_to_ratio

VoiceType = Literal["speech", "song"]
SINGING_ABOVE_SPEECH = 8.0  # semitones, the median of twelve speakers, see recipes/LOG.md
VIBRATO_FRAMES, STEADY_FRAMES = 18, 12
STEADY_SEMITONES, STEADY_SHARE = 0.3, 0.4


def singing_range(speaker: Speaker, voice_type: str) -> Speaker:
    """A speaker with the range to sing in: that of ``speech`` is shifted up by 8 semitones."""
    ratio = semitones_to_ratio(SINGING_ABOVE_SPEECH) if voice_type == "speech" else 1.0
    median, low, high = (round(value * ratio, 2) for value in speaker.range)
    return replace(speaker, median_f0=median, low_f0=low, high_f0=high)


def classify_speech_or_singing(prepared: Manifest) -> VoiceType:
    """``song`` or ``speech``, by the share of steady f0.

    Sung notes are steady but for vibrato; speech glides. Of stretches of 0.3 s or more with a pitch, frames are steady
    where f0, averaged over a period of vibrato, moves less than 0.3 semitones within 0.12 s.
    """
    cache = FeatureCache(prepared.folder / "store")
    moves = [
        _f0_movement(12 * np.log2(cache.get(clip.key, "f0")), cache.get(clip.key, "voiced").astype(bool))
        for clip in prepared.clips
    ]
    steady = np.concatenate(moves) < STEADY_SEMITONES
    return "song" if len(steady) and steady.mean() > STEADY_SHARE else "speech"


def _f0_movement(notes: NDArray[np.floating], voiced: NDArray[np.bool_]) -> NDArray[np.floating]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(int), [0]])))
    moves = [np.zeros(0)]
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first >= VIBRATO_FRAMES + STEADY_FRAMES:
            smooth = np.convolve(notes[first:last], np.ones(VIBRATO_FRAMES) / VIBRATO_FRAMES, "valid")
            moves.append(np.abs(smooth[STEADY_FRAMES:] - smooth[:-STEADY_FRAMES]))
    return np.concatenate(moves)
