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
    """A score of a row.

    Attributes:
        key: in a row.
        title: in a table, with the unit.
        group: the table.
        better: direction; ``zero`` for differences from the source that should vanish, ``none`` for descriptions.
        digits: after the decimal point; −1 for a percentage.
    """

    key: str
    title: str
    group: str
    better: Literal["low", "high", "zero", "none"]
    digits: int

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
    Measure("f0_rmse", "f0 RMSE, cents", F0, "low", 1),
    Measure("f0_median", "f0 median error, cents", F0, "low", 2),
    Measure("f0_over50", "> 50 cents", F0, "low", -1),
    Measure("vuv_error", "V/UV error (VDE)", F0, "low", -1),
    Measure("raw_pitch_accuracy", "raw pitch accuracy", F0, "high", -1),
    Measure("log_f0_pcc", "LogF0PCC", F0, "high", -1),
    Measure("f0_corr", "F0CORR", F0, "high", 3),
    Measure("gpe", "GPE", F0, "low", -1),
    Measure("ffe", "FFE", F0, "low", -1),
    Measure("loudness", "loudness correlation", F0, "high", 3),
    Measure("lag", "lag, ms", F0, "zero", 0),
    Measure("named_target", "identified as target", SPEAKER, "high", -1),
    Measure("named_source", "identified as source", SPEAKER, "low", -1),
    Measure("cosine", "cosine to target", SPEAKER, "high", 3),
    Measure("cosine_prompt", "cosine to one prompt", SPEAKER, "high", 3),
    Measure("cosine_source", "cosine to source", SPEAKER, "low", 3),
    Measure("progress", "progress from source to target", SPEAKER, "high", -1),
    Measure("content_distance", "content distance (0 same, 1 unrelated)", CONTENT, "low", 3),
    Measure("cer_to_source", "CER to the source's transcript", CONTENT, "low", -1),
    Measure("wer_to_source", "WER to the source's transcript", CONTENT, "low", -1),
    Measure("wer", "WER", CONTENT, "low", -1),
    Measure("cer_difference", "CER − source's", CONTENT, "low", -1),
    Measure("wer_difference", "WER − source's", CONTENT, "low", -1),
    Measure("mcd", "MCD after DTW, dB", TRUTH, "low", 2),
    Measure("log_mel", "log-mel distance after DTW, dB", TRUTH, "low", 2),
    Measure("stretch", "DTW stretch, ms", TRUTH, "none", 0),
    Measure("mcd_aligned", "MCD, dB", TRUTH, "low", 2),
    Measure("stft", "STFT distance", TRUTH, "low", 3),
    Measure("breath_kept", "breath kept", NATURALNESS, "high", -1),
    Measure("pause_noise", "noise in pauses − source's, dB", NATURALNESS, "low", 1),
    Measure("aperiodicity", "aperiodicity − source's, dB", NATURALNESS, "zero", 2),
    Measure("global_variance", "global variance − source's, dB", NATURALNESS, "zero", 2),
    Measure("distillmos", "Distill-MOS", NATURALNESS, "high", 2),
    Measure("dnsmos_ovrl", "DNSMOS overall", NATURALNESS, "high", 2),
    Measure("dnsmos_sig", "DNSMOS signal", NATURALNESS, "high", 2),
    Measure("dnsmos_bak", "DNSMOS background", NATURALNESS, "high", 2),
    Measure("dnsmos_p808", "DNSMOS P.808", NATURALNESS, "high", 2),
    Measure("squim_stoi", "SQUIM STOI", NATURALNESS, "high", 3),
    Measure("squim_pesq", "SQUIM PESQ", NATURALNESS, "high", 2),
    Measure("squim_si_sdr", "SQUIM SI-SDR, dB", NATURALNESS, "high", 1),
    Measure("wavenet_0-1", "0–1 kHz, dB", WAVENET, "none", 1),
    Measure("wavenet_1-4", "1–4 kHz, dB", WAVENET, "none", 1),
    Measure("wavenet_4-8", "4–8 kHz, dB", WAVENET, "none", 1),
    Measure("wavenet_8-12", "8–12 kHz, dB", WAVENET, "none", 1),
    Measure("wavenet_12-20", "12–20 kHz, dB", WAVENET, "none", 1),
)
HINTS = {  # for tooltips
    "f0_rmse": "root mean square error of the melody; a few octave errors of the tracker raise it",
    "f0_median": "half of the voiced frames are nearer to the source's melody than this",
    "f0_over50": "voiced frames that are a quarter tone or more off",
    "vuv_error": "frames voiced in only one of source and output",
    "raw_pitch_accuracy": "voiced frames within 50 cents",
    "log_f0_pcc": "Pearson correlation of log f0 with the source's, where both are voiced",
    "f0_corr": "Pearson correlation of f0 in Hz with the source's, where both are voiced",
    "gpe": "gross pitch errors: frames voiced in both that are more than 20 % off",
    "ffe": "f0 frame errors: frames with a voicing error or a gross pitch error",
    "loudness": "correlation of the A-weighted level over time with the source's",
    "lag": "by which the output is late",
    "named_target": "the target is the nearest of all enrolled speakers",
    "named_source": "the source's own speaker is the nearest",
    "cosine": "of speaker embeddings; 1 is the same voice",
    "cosine_prompt": "of speaker embeddings, to the longest enrolment recording alone",
    "cosine_source": "of speaker embeddings, output and source",
    "progress": "0% at the source's cosine to the target, 100% at the target's own recordings",
    "content_distance": "of phonetic features, frame by frame",
    "cer_to_source": "character errors against what the recogniser reads in the source",
    "wer_to_source": "word errors against what the recogniser reads in the source",
    "wer": "word errors against the lyrics",
    "cer_difference": "character errors against the lyrics, more than in the source",
    "wer_difference": "word errors against the lyrics, more than in the source",
    "mcd": "mel-cepstral distortion to the target's own performance, aligned in time",
    "log_mel": "of the spectrum to the target's own performance, aligned in time",
    "stretch": "how much the alignment moved in time",
    "mcd_aligned": "mel-cepstral distortion of reconstructions, frame by frame",
    "stft": "multi-resolution STFT distance of reconstructions",
    "breath_kept": "breaths 40 to 60 dB below the loudest frame that come out within 10 dB",
    "pause_noise": "noise added between notes and breaths",
    "aperiodicity": "noise between the harmonics; above 0 is rougher, below 0 smoother than the source",
    "global_variance": "variance of the spectrum over time; below 0 is over-smoothed",
    "distillmos": "predicted mean opinion score, 1 to 5",
    "squim_stoi": "predicted intelligibility, 0 to 1",
    "squim_pesq": "predicted speech quality, 1 to 4.5",
}
OCTAVE = 600.0  # cents of shift above which a conversion counts as transposed by octaves
SYSTEMS = {
    "voice": "voice",
    "source_filter": "source–filter stage alone",
    "copied": "source, unconverted",
    "equalised": "source, pitch-shifted and equalised",
    "truth": "target's own performance",
    "take": "another take of the source",
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
    """Rows by line of a table: each system; outputs of the voice by reconstruction, conversion and transposition."""
    groups: dict[str, list[Row]] = {}
    for system in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == system]
        if system not in ("voice", "source_filter"):
            groups[SYSTEMS[system]] = own
            continue
        suffix = "" if system == "voice" else f", {SYSTEMS[system]}"
        converted = [row for row in own if row["speaker"] != row["target"]]
        groups[f"reconstructed{suffix}"] = [row for row in own if row["speaker"] == row["target"]]
        groups[f"converted{suffix}"] = converted
        far = [row for row in converted if abs(row.get("shift") or 0.0) >= OCTAVE]
        near = [row for row in converted if not abs(row.get("shift") or 0.0) >= OCTAVE]
        if system == "voice" and 0 < len(near) < len(converted):
            groups |= {"· same octave": near, "· by octaves": far}
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


def overall(rows: Sequence[Row]) -> float:
    """Score of a checkpoint, 0–1: the mean of the available ``sub_scores``; NaN if there is none."""
    available = [score for score in sub_scores(rows).values() if not math.isnan(score)]
    return float(np.mean(available)) if available else math.nan


def sub_scores(rows: Sequence[Row]) -> dict[str, float]:
    """Speaker similarity, naturalness and pitch, 0–1 each, NaN where not measured.

    Similarity is the progress from source to target. Naturalness is Distill-MOS from 1 to that of the sources, or
    1 / (1 + STFT distance of the reconstructions) without Distill-MOS. Pitch is the raw pitch accuracy.
    """
    truth = mean(rows, "distillmos_source")
    naturalness = (mean(rows, "distillmos") - 1) / max(1e-3, truth - 1) if not math.isnan(truth) else math.nan
    return {
        "similarity_score": _clip(mean(rows, "progress")),
        "naturalness_score": _clip(1 / (1 + mean(rows, "stft")) if math.isnan(naturalness) else naturalness),
        "pitch_score": _clip(mean(rows, "raw_pitch_accuracy")),
    }


def _clip(value: float) -> float:
    return value if math.isnan(value) else min(1.0, max(0.0, value))
