"""Every measure: what it is called, how it is written, and which way is better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from svc.evaluation.statistics import Estimate, estimate

Row = dict[str, Any]  # what is known of one output: system, song, singer, target, and its scores


@dataclass(frozen=True, slots=True)
class Measure:
    """A score of a row.

    Attributes:
        key: in a row.
        title: in a table, with its unit.
        group: the table it stands in.
        better: which way, or ``zero`` for what should be as in the source, or ``none``.
        digits: after the point; −1 for a percentage.
    """

    key: str
    title: str
    group: str
    better: Literal["low", "high", "zero", "none"]
    digits: int

    def text(self, value: float) -> str:
        """A value as a table has it."""
        if math.isnan(value):
            return "–"
        return f"{value:.1%}" if self.digits < 0 else f"{value:.{self.digits}f}"

    def interval(self, found: Estimate) -> str:
        """A mean with its 95 % interval."""
        if found.files < 2:
            return self.text(found.mean)
        return f"{self.text(found.mean)} [{self.text(found.low)}, {self.text(found.high)}]"


MELODY, IDENTITY, TRUTH, WORDS, NATURAL = "Melody", "Identity", "Truth", "Words", "Naturalness"
MEASURES = (
    Measure("f0_rmse", "f0 RMSE, cents", MELODY, "low", 1),
    Measure("f0_median", "f0 median, cents", MELODY, "low", 2),
    Measure("f0_over50", "> 50 cents", MELODY, "low", -1),
    Measure("voicing", "V/UV error", MELODY, "low", -1),
    Measure("raw_pitch_accuracy", "raw pitch accuracy", MELODY, "high", -1),
    Measure("loudness", "loudness corr.", MELODY, "high", 3),
    Measure("lag", "late, ms", MELODY, "zero", 0),
    Measure("named_target", "named target", IDENTITY, "high", -1),
    Measure("named_source", "named source", IDENTITY, "low", -1),
    Measure("cosine", "cosine to target", IDENTITY, "high", 3),
    Measure("cosine_source", "cosine to source", IDENTITY, "low", 3),
    Measure("likeness", "of the way to the target", IDENTITY, "high", -1),
    Measure("words", "other words = 1", WORDS, "low", 3),
    Measure("cer_to_source", "CER, source's transcript", WORDS, "low", -1),
    Measure("wer_to_source", "WER, source's transcript", WORDS, "low", -1),
    Measure("wer", "WER", WORDS, "low", -1),
    Measure("cer_difference", "CER − source's", WORDS, "low", -1),
    Measure("wer_difference", "WER − source's", WORDS, "low", -1),
    Measure("mcd", "MCD to truth, dB", TRUTH, "low", 2),
    Measure("log_mel", "log mel to truth, dB", TRUTH, "low", 2),
    Measure("stretch", "warped by, ms", TRUTH, "none", 0),
    Measure("mcd_aligned", "MCD, dB", TRUTH, "low", 2),
    Measure("stft", "STFT distance", TRUTH, "low", 3),
    Measure("clipped", "clipped", NATURAL, "low", -1),
    Measure("clicks", "clicks a second", NATURAL, "low", 2),
    Measure("silence_noise", "noise in silence, dB over source", NATURAL, "low", 1),
    Measure("above_band", "above the source's band, dB", NATURAL, "low", 1),
    Measure("aperiodicity", "aperiodicity − source's, dB", NATURAL, "zero", 2),
    Measure("global_variance", "global variance − source's, dB", NATURAL, "zero", 2),
    Measure("dnsmos_ovrl", "DNSMOS overall", NATURAL, "high", 2),
    Measure("dnsmos_sig", "DNSMOS signal", NATURAL, "high", 2),
    Measure("dnsmos_bak", "DNSMOS background", NATURAL, "high", 2),
    Measure("dnsmos_p808", "DNSMOS P.808", NATURAL, "high", 2),
    Measure("squim_stoi", "SQUIM STOI", NATURAL, "high", 3),
    Measure("squim_pesq", "SQUIM PESQ", NATURAL, "high", 2),
    Measure("squim_si_sdr", "SQUIM SI-SDR, dB", NATURAL, "high", 1),
)
GROUPS = (MELODY, IDENTITY, WORDS, TRUTH, NATURAL)
OCTAVE = 600.0  # cents of shift from which a conversion counts as moved by octaves


def values(rows: Sequence[Row], key: str) -> list[float]:
    """A score of every row, NaN where it was not measured."""
    return [math.nan if row.get(key) is None else float(row[key]) for row in rows]


def mean(rows: Sequence[Row], key: str) -> float:
    """A score's plain mean over rows, NaN if none has it."""
    told = [value for value in values(rows, key) if not math.isnan(value)]
    return float(np.mean(told)) if told else math.nan


def summarise(rows: Sequence[Row], key: str) -> Estimate:
    """A score over rows, with the interval over their songs."""
    return estimate(values(rows, key), [row["song"] for row in rows])


def sorts(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of a table: each system's, conversions by whether they stay in their octave."""
    found: dict[str, list[Row]] = {}
    for system in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == system]
        resung = [row for row in own if row["singer"] == row["target"]]
        if system != "voice":
            found[SYSTEMS[system]] = own
            continue
        others = [row for row in own if row["singer"] != row["target"]]
        far = [row for row in others if abs(row.get("shift") or 0.0) >= OCTAVE]
        near = [row for row in others if not abs(row.get("shift") or 0.0) >= OCTAVE]
        found |= {"reconstructed": resung, "converted": others}
        if 0 < len(near) < len(others):
            found |= {"· same octave": near, "· by octaves": far}
    return {name: rows for name, rows in found.items() if rows}


SYSTEMS = {
    "voice": "the voice",
    "copied": "source copied",
    "equalised": "source, pitch shifted and equalised",
    "truth": "truth",
    "take": "another take of the source",
    "reference": "the target's references",
}


def overall(rows: Sequence[Row]) -> float:
    """One number from 0 to 1, to choose a checkpoint by: the mean of the parts below that could be measured."""
    found = [part for part in parts(rows).values() if not math.isnan(part)]
    return float(np.mean(found)) if found else math.nan


def parts(rows: Sequence[Row]) -> dict[str, float]:
    """How good rows are, 0 to 1: way to the target, words kept, raw pitch accuracy, sound 1 / (1 + STFT distance)."""

    def share(value: float) -> float:
        return value if math.isnan(value) else min(1.0, max(0.0, value))

    return {
        "identity_part": share(mean(rows, "likeness")),
        "words_part": share(1 - mean(rows, "words")),
        "melody_part": share(mean(rows, "raw_pitch_accuracy")),
        "sound_part": 1 / (1 + mean(rows, "stft")),
    }
