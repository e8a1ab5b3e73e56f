"""Speech or singing: classify clips by how steady f0 is, and predict the singing range of a speaker."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from svc.data.manifest import Manifest
from svc.features.f0 import runs
from svc.features.speaker import Speaker

VoiceType = Literal["speech", "song"]
HIGH_VOICE_ABOVE = 160.0  # Hz, median f0 of speech: between the usual ones of men and women
LOW_SPEECH, HIGH_SPEECH = 115.0, 205.0  # Hz, usual median f0 of speech of low and high voices
LOW_SINGING = (200.0, 98.0, 392.0)  # Hz, median, lowest and highest usual note of low voices in songs: G2 to G4
HIGH_SINGING = (370.0, 196.0, 784.0)  # and of high voices: G3 to G5
VIBRATO_FRAMES, STEADY_FRAMES = 18, 12
STEADY_SEMITONES, STEADY_SHARE = 0.3, 0.4

S = TypeVar("S", bound=Speaker)
F0Track = tuple[NDArray[np.floating], NDArray[np.bool_]]  # f0 (N,) in Hz and voicing (N,)


def singing_range(speaker: S, voice_type: str) -> S:
    """A speaker with the range to sing in: measured on songs, guessed from speech.

    Speech says whether a voice is low or high, and little more: lively speech lies higher, but sings no higher. So the
    guess is the usual range of such voices, shifted by half of what the speech is above the usual speech.
    """
    if voice_type == "song" or not speaker.median_f0:
        return speaker
    high = speaker.median_f0 > HIGH_VOICE_ABOVE
    usual, notes = (HIGH_SPEECH, HIGH_SINGING) if high else (LOW_SPEECH, LOW_SINGING)
    ratio = math.sqrt(speaker.median_f0 / usual)
    median_f0, low_f0, high_f0 = (round(note * ratio, 2) for note in notes)
    return replace(speaker, median_f0=median_f0, low_f0=low_f0, high_f0=high_f0)


def classify_speech_or_singing(tracks: Iterable[F0Track]) -> VoiceType:
    """``song`` or ``speech``, by the share of steady f0.

    Sung notes are steady but for vibrato; speech glides. Of stretches of 0.3 s or more with a pitch, frames are steady
    where f0, averaged over a period of vibrato, moves less than 0.3 semitones within 0.12 s.
    """
    moves = [_f0_movement(12 * np.log2(f0), voiced) for f0, voiced in tracks]
    steady = np.concatenate(moves) < STEADY_SEMITONES
    return "song" if len(steady) and steady.mean() > STEADY_SHARE else "speech"


def read_tracks(prepared: Manifest) -> Iterator[F0Track]:
    """f0 and voicing of the clips of a prepared folder."""
    cache = prepared.cache
    for clip in prepared.clips:
        yield cache.get(clip.key, "f0").astype(np.float32), cache.get(clip.key, "voiced").astype(np.bool_)


def _f0_movement(notes: NDArray[np.floating], voiced: NDArray[np.bool_]) -> NDArray[np.floating]:
    moves = [np.zeros(0)]
    for first, last in runs(voiced):
        if last - first >= VIBRATO_FRAMES + STEADY_FRAMES:
            smooth = np.convolve(notes[first:last], np.ones(VIBRATO_FRAMES) / VIBRATO_FRAMES, "valid")
            moves.append(np.abs(smooth[STEADY_FRAMES:] - smooth[:-STEADY_FRAMES]))
    return np.concatenate(moves)
