"""Options of a conversion, and the report on one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.features.second_voice import Spans, describe
from svc.features.transpose import Transpose, share_outside_range
from svc.inference.loudness import Gain, Loudness
from svc.inference.speaker_mix import SpeakerMix
from svc.utils.units import semitones_to_ratio

MIN_OUTSIDE, OUTSIDE_HINT = 0.01, 0.2  # share of the notes outside the range that is reported, and that needs a hint

Progress = Callable[[str, float], object]  # name of a stage, and the share of it that is done


def no_progress(_stage: str, _share: float) -> None:
    """Progress that is not shown."""


@dataclass(frozen=True, slots=True)
class ConversionOptions:
    """Options of a conversion."""

    speaker: str | SpeakerMix  # text for ``svc.inference.speaker_mix.parse_speaker``, or its result
    transpose: Transpose = "auto"  # see ``svc.features.transpose.choose_transposition``
    loudness: Loudness = "source"  # ``source``, ``target`` (the speaker's), or LUFS
    f0_csv: Path | None = None  # CSV of ``seconds,hz`` to use as f0 of the source instead of tracking it
    save_f0_csv: Path | None = None  # write the f0 of the source to this CSV, before transposition
    mono: bool = False  # write one channel also where the source has two


@dataclass(slots=True)
class ConversionReport:
    """Measures of a conversion."""

    seconds: float = 0.0  # of audio
    transpose: float = 0.0  # semitones
    share_below_range: float = 0.0  # of the voiced frames, after transposition, below the speaker's range
    share_above_range: float = 0.0  # and above it
    # spans in seconds where another voice sounds with a melody of its own
    second_voice: Spans = field(default_factory=list)
    gain: Gain = field(default_factory=Gain)  # of the output
    levels: str = ""  # of vocals and mix, a line for the user, where they were separated
    # seconds of computing by stage: ``f0``, ``content``, ``generator``, ``resample``
    timings: dict[str, float] = field(default_factory=dict)
    # (N,) Hz, 0 where unvoiced
    source_f0: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    # (N,) Hz after transposition
    f0: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    _lap_start: float = field(default_factory=time.perf_counter)

    @property
    def notes(self) -> list[str]:
        """Lines for the user: what was done to the level, and ``melody_notes``."""
        return [line for line in (self.levels, self.gain.describe(), *self.melody_notes) if line]

    @property
    def melody_notes(self) -> list[str]:
        """Lines for the user: whether there was no melody, or more than one."""
        lines = []
        if self.second_voice:
            lines.append(f"two voices at once at {describe(self.second_voice)}; f0 follows the louder one")
        if not self.f0.any():
            lines.append("no melody was found, so all of it is a whisper; is it one voice alone, and not too quiet?")
        return lines

    def range_lines(self, mix: SpeakerMix) -> list[str]:
        """Lines for the user: which share of the notes lies outside the range of the target, and what would help."""
        outside = {"below": self.share_below_range, "above": self.share_above_range}
        lines = [
            f"{share:.0%} of the notes are more than a semitone {side} the range of {mix.label}"
            for side, share in outside.items()
            if share >= MIN_OUTSIDE
        ]
        return [*lines, self._suggest_transposition(mix)] if sum(outside.values()) >= OUTSIDE_HINT else lines

    def _suggest_transposition(self, mix: SpeakerMix) -> str:
        """The octave in which fewest notes lie outside the range; it stays in key."""
        notes = self.source_f0[self.source_f0 > 0]
        shifts = [self.transpose + 12 * octaves for octaves in range(-3, 4)]
        shares = [
            sum(share_outside_range(notes * semitones_to_ratio(shift), *mix.stats.range[1:])) for shift in shifts
        ]  # fmt: skip
        best = min(range(len(shifts)), key=lambda n: (round(shares[n], 2), abs(shifts[n])))
        if shares[best] < self.share_below_range + self.share_above_range - 0.05:
            return f"add --transpose {shifts[best]:+g} to stay in key with {shares[best]:.0%} of the notes outside"
        return f"no other octave fits better; --transpose match moves it into the range of {mix.label}, in another key"

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage."""
        now = time.perf_counter()
        self.timings[stage] = self.timings.get(stage, 0.0) + now - self._lap_start
        self._lap_start = now
