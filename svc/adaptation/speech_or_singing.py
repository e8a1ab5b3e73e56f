"""What clips are, speech or song, and what follows from that for the range of a singer."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from svc.data.manifest import Manifest
from svc.features.cache import FeatureCache
from svc.features.speaker import Speaker
from svc.utils.units import semitones_to_ratio

Material = Literal["speech", "song"]
SUNG_ABOVE_SPOKEN = 8.0  # semitones, the median of twelve singers, see recipes/LOG.md
VIBRATO, HELD_FRAMES = 18, 12  # frames
HELD_SEMITONES, HELD_SHARE = 0.3, 0.4


def singing_range(singer: Speaker, material: str) -> Speaker:
    """A singer with the range to be sung in: who is known by ``speech`` only sings higher than that."""
    ratio = semitones_to_ratio(SUNG_ABOVE_SPOKEN) if material == "speech" else 1.0
    median, low, high = (round(value * ratio, 2) for value in singer.range)
    return replace(singer, median_f0=median, low_f0=low, high_f0=high)


def classify_speech_or_singing(prepared: Manifest) -> Material:
    """``song`` or ``speech``, by how much of the melody is held.

    Sung notes stay where they are but for vibrato; spoken ones glide. Counted are stretches of 0.3 s with a pitch
    whose mean over a period of vibrato moves less than 0.3 semitones within 0.12 s.
    """
    store = FeatureCache(prepared.folder / "store")
    moves = [
        _moves(12 * np.log2(store.get(clip.key, "f0")), store.get(clip.key, "voiced").astype(bool))
        for clip in prepared.clips
    ]
    held = np.concatenate(moves) < HELD_SEMITONES
    return "song" if len(held) and held.mean() > HELD_SHARE else "speech"


def _moves(notes: NDArray[np.floating], voiced: NDArray[np.bool_]) -> NDArray[np.floating]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(int), [0]])))
    moves = [np.zeros(0)]
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first >= VIBRATO + HELD_FRAMES:
            smooth = np.convolve(notes[first:last], np.ones(VIBRATO) / VIBRATO, "valid")
            moves.append(np.abs(smooth[HELD_FRAMES:] - smooth[:-HELD_FRAMES]))
    return np.concatenate(moves)
