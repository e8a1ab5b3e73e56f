"""Output loudness of a conversion: as the source, as the speaker, or a loudness in LUFS (ITU-R BS.1770)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from svc.audio import lufs
from svc.audio.chunks import iter_chunks
from svc.audio.files import Samples
from svc.errors import DataError, WeightsError
from svc.inference.speaker_mix import SpeakerMix
from svc.utils.units import db_to_gain

if TYPE_CHECKING:  # needs torch
    from svc.features.conditioning import Conditioning

Loudness = float | Literal["source", "target"]  # a number is LUFS

MAX_PEAK = 0.99  # of full scale, of audio that would exceed it
LUFS_RANGE = (-70.0, 0.0)


@dataclass(frozen=True, slots=True)
class Gain:
    """Gain of the output in dB.

    Attributes:
        gain_db: as applied.
        limited_by_db: by how much it was reduced so that nothing clips.
    """

    gain_db: float = 0.0
    limited_by_db: float = 0.0

    def describe(self) -> str:
        """A line for the user; empty where the gain is 0."""
        if not self.gain_db:
            return ""
        if self.gain_db == -self.limited_by_db:
            return f"lowered by {self.limited_by_db:.1f} dB to avoid clipping"
        limited = f", {self.limited_by_db:.1f} dB less than requested to avoid clipping" if self.limited_by_db else ""
        return f"gain {self.gain_db:+.1f} dB{limited}"


def parse_loudness(text: str) -> Loudness:
    """``source``, ``target``, or LUFS as ``-14LUFS``.

    Raises:
        DataError: it is none of them.
    """
    word = text.strip().lower()
    if word == "source":
        return "source"
    if word == "target":
        return "target"
    try:
        value = float(word.removesuffix("lufs"))
    except ValueError:
        value = math.nan
    if not LUFS_RANGE[0] <= value <= LUFS_RANGE[1]:
        low, high = LUFS_RANGE
        raise DataError(f"--loudness {text}: give source, target, or {low:g} to {high:g} LUFS as -14LUFS")
    return value


def check_level(loudness: Loudness, mix: SpeakerMix) -> None:
    """Refuse ``target`` for a speaker whose level was not measured.

    Raises:
        WeightsError: it was not.
    """
    if loudness == "target" and not mix.stats.level:
        raise WeightsError(f"--loudness target: the level of {mix.label} is not recorded; give LUFS as -14LUFS")


def choose_gain(loudness: Loudness, audio: Samples, rate: int, conditioning: Conditioning, mix: SpeakerMix) -> Gain:
    """The gain that brings converted audio to a loudness and leaves its peak below full scale.

    Args:
        loudness: see there.
        audio: (T,) or (T, 2) as it is written.
        rate: its rate in Hz.
        conditioning: it was rendered from; its level is the source's.
        mix: the target speaker.
    """
    wanted = 0.0
    if loudness == "target":
        from svc.features.extract import median_voiced_level

        voiced = conditioning.voiced[0].numpy() > 0
        wanted = mix.stats.level - float(median_voiced_level(conditioning.loudness[0].numpy(), voiced))
    elif loudness != "source" and math.isfinite(measured := lufs.integrated(audio, rate)):
        wanted = loudness - measured
    peak = max((float(np.abs(chunk).max()) for chunk in iter_chunks(audio)), default=0.0) * db_to_gain(wanted)
    limited = 20 * math.log10(peak / MAX_PEAK) if peak > 1 else 0.0
    return Gain(wanted - limited, limited)


def apply_gain(audio: Samples, gain: Gain) -> Iterable[Samples]:
    """Audio (T,) or (T, 2) with a gain, in chunks."""
    return (chunk * np.float32(db_to_gain(gain.gain_db)) for chunk in iter_chunks(audio))
