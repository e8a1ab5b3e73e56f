"""Names, units and directions of all measures; tables over rows of scores; the overall score of a checkpoint."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from svc.evaluation.statistics import Estimate, estimate

Row = dict[str, Any]  # one output: system, song, speaker (of the source), target, and its scores by key


@dataclass(frozen=True, slots=True)
class Measure:
    """A score of a row."""

    key: str  # in a row
    title: str  # in a table, with the unit
    group: str  # the table
    better: Literal["low", "high", "zero", "none"]  # zero: it should vanish; none: a description
    digits: int  # after the decimal point; −1 for a percentage
    hint: str = ""  # tooltip

    def text(self, value: float) -> str:
        """A value as printed in a table."""
        if math.isnan(value):
            return "–"
        return f"{value:.1%}" if self.digits < 0 else f"{value:.{self.digits}f}"

    def interval(self, value: Estimate) -> str:
        """A mean, ± half of its 95 % interval."""
        if value.files < 2:
            return self.text(value.mean)
        return f"{self.text(value.mean)} ±{self.text((value.high - value.low) / 2)}"


F0, SPEAKER, CONTENT, TRUTH = "f0 and loudness", "Speaker similarity", "Content", "Distance to the truth"
NATURALNESS, WAVENET = "Naturalness", "Level of the WaveNet's part relative to the output"
GROUPS = (F0, SPEAKER, CONTENT, TRUTH, NATURALNESS, WAVENET)
MEASURES = (
    Measure("f0_rmse", "f0 RMSE, cents", F0, "low", 1, "a few octave errors of the tracker raise it"),
    Measure("f0_median", "f0 median error, cents", F0, "low", 2, "half of the voiced frames are nearer than this"),
    Measure("f0_over50", "> 50 cents", F0, "low", -1, "voiced frames that are a quarter tone or more off"),
    Measure("vuv_error", "V/UV error (VDE)", F0, "low", -1, "frames voiced in only one of source and output"),
    Measure("raw_pitch_accuracy", "raw pitch accuracy", F0, "high", -1, "voiced frames within 50 cents"),
    Measure("log_f0_pcc", "LogF0PCC", F0, "high", -1, "Pearson correlation of log f0, where both are voiced"),
    Measure("log_f0_pcc_notes", "LogF0PCC of notes", F0, "high", -1, "of 100 ms or more: elsewhere trackers jump"),
    Measure("f0_corr", "F0CORR", F0, "high", 3, "Pearson correlation of f0 in Hz, where both are voiced"),
    Measure("gpe", "GPE", F0, "low", -1, "gross pitch errors: more than 20 % off, where both are voiced"),
    Measure("ffe", "FFE", F0, "low", -1, "f0 frame errors: voicing errors and gross pitch errors"),
    Measure("loudness", "loudness correlation", F0, "high", 3, "of the A-weighted level over time"),
    Measure("lag", "lag, ms", F0, "zero", 0, "by which the output is late"),
    Measure("vibrato_extent", "vibrato extent", F0, "none", -1, "relative to the source's; 100% is kept"),
    Measure("vibrato_rate", "vibrato rate − source's, Hz", F0, "low", 2, "of vibrato of 15 cents and more"),
    Measure("f0_slope", "slope correlation", F0, "high", 3, "of f0 in glides and onsets with the source's"),
    Measure("named_target", "identified as target", SPEAKER, "high", -1, "the nearest of all enrolled speakers"),
    Measure("named_source", "identified as source", SPEAKER, "low", -1, "the source's speaker is the nearest"),
    Measure("cosine", "cosine to target", SPEAKER, "high", 3, "of speaker embeddings; 1 is the same voice"),
    Measure("cosine_prompt", "cosine to one prompt", SPEAKER, "high", 3, "to the longest enrolment recording alone"),
    Measure("cosine_source", "cosine to source", SPEAKER, "low", 3, "of speaker embeddings, output and source"),
    Measure("progress", "progress from source to target", SPEAKER, "high", -1, "0% at the source, 100% at the target"),
    Measure("content_distance", "content distance (0 same, 1 unrelated)", CONTENT, "low", 3, "frame by frame"),
    Measure("cer_to_source", "CER to the source's transcript", CONTENT, "low", -1),
    Measure("wer_to_source", "WER to the source's transcript", CONTENT, "low", -1),
    Measure("wer", "WER", CONTENT, "low", -1, "word errors against the lyrics"),
    Measure("cer_difference", "CER − source's", CONTENT, "low", -1, "character errors against the lyrics"),
    Measure("wer_difference", "WER − source's", CONTENT, "low", -1, "word errors against the lyrics"),
    Measure("mcd", "MCD after DTW, dB", TRUTH, "low", 2, "mel-cepstral distortion, aligned in time"),
    Measure("mcd_aligned", "MCD, dB", TRUTH, "low", 2, "of reconstructions, frame by frame"),
    Measure("stft", "STFT distance", TRUTH, "low", 3, "multi-resolution, of reconstructions"),
    Measure("breath_kept", "breath kept", NATURALNESS, "high", -1, "breaths that come out within 10 dB"),
    Measure("pause_noise", "noise in pauses − source's, dB", NATURALNESS, "low", 1, "between notes and breaths"),
    Measure("aperiodicity", "aperiodicity − source's, dB", NATURALNESS, "zero", 2, "noise between the harmonics"),
    Measure("global_variance", "global variance − source's, dB", NATURALNESS, "zero", 2, "below 0: over-smoothed"),
    Measure("distillmos", "Distill-MOS", NATURALNESS, "high", 2, "predicted mean opinion score, 1 to 5"),
    Measure("dnsmos_ovrl", "DNSMOS overall", NATURALNESS, "high", 2),
    Measure("dnsmos_sig", "DNSMOS signal", NATURALNESS, "high", 2),
    Measure("dnsmos_bak", "DNSMOS background", NATURALNESS, "high", 2),
    Measure("dnsmos_p808", "DNSMOS P.808", NATURALNESS, "high", 2),
    *(Measure(f"wavenet_{band}", f"{band.replace('-', '–')} kHz, dB", WAVENET, "none", 1)
      for band in ("0-1", "1-4", "4-8", "8-12", "12-20")),
)  # fmt: skip
SYSTEMS = {
    "voice": "voice",
    "source_filter": "source–filter stage alone",
    "copied": "source, unconverted",
    "truth": "target's own performance",
    "reference": "target's enrolment recordings",
}


def values(rows: Sequence[Row], key: str) -> list[float]:
    """A score of every row, NaN where it was not measured."""
    return [math.nan if row.get(key) is None else float(row[key]) for row in rows]


def mean(rows: Sequence[Row], key: str) -> float:
    """Plain mean of a score over rows, NaN if no row has it."""
    measured = [value for value in values(rows, key) if not math.isnan(value)]
    return float(np.mean(measured)) if measured else math.nan


def summarise(rows: Sequence[Row], key: str) -> Estimate:
    """Mean of a score with its interval over songs."""
    return estimate(values(rows, key), [row["song"] for row in rows])


def group_rows(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by line of a table: each system; those of the voice by reconstruction and conversion."""
    groups: dict[str, list[Row]] = {}
    for system in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == system]
        if system not in ("voice", "source_filter"):
            groups[SYSTEMS[system]] = own
            continue
        suffix = "" if system == "voice" else f", {SYSTEMS[system]}"
        groups[f"reconstructed{suffix}"] = [row for row in own if row["speaker"] == row["target"]]
        groups[f"converted{suffix}"] = [row for row in own if row["speaker"] != row["target"]]
    return {name: rows for name, rows in groups.items() if rows}


def by_exposure(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of songs that the voice was not trained on, then of those it was, by a suffix for headings.

    The enrolment recordings stand with both.
    """
    enrolled = [row for row in rows if row["system"] == "reference"]
    songs = [row for row in rows if row["system"] != "reference"]
    seen, unseen = ([row for row in songs if bool(row.get("seen")) is side] for side in (True, False))
    if not seen:
        return {"": list(rows)}
    parts = {", songs not trained on": unseen, ", songs trained on": seen}
    return {heading: own + enrolled for heading, own in parts.items() if own}


def checkpoint_scores(rows: Sequence[Row]) -> dict[str, float]:
    """Scores of a checkpoint, 0–1, NaN where not measured; ``overall`` is the mean of the others.

    Similarity is the progress from source to target. Naturalness is Distill-MOS from 1 to that of the sources, or
    1 / (1 + STFT distance of the reconstructions) without Distill-MOS. Pitch is the raw pitch accuracy.
    """
    truth = mean(rows, "distillmos_source")
    naturalness = 1 / (1 + mean(rows, "stft"))
    if not math.isnan(truth):
        naturalness = (mean(rows, "distillmos") - 1) / max(1e-3, truth - 1)
    scores = {
        "similarity_score": mean(rows, "progress"),
        "naturalness_score": naturalness,
        "pitch_score": mean(rows, "raw_pitch_accuracy"),
    }
    scores = {name: float(np.clip(score, 0, 1)) for name, score in scores.items()}  # NaN stays NaN
    measured = [score for score in scores.values() if not math.isnan(score)]
    return scores | {"overall": float(np.mean(measured)) if measured else math.nan}
