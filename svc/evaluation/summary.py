"""Summary of an evaluation in sentences, and the marks of one conversion between floor and ceiling."""

import math
from collections.abc import Sequence

from svc.evaluation.metrics.table import MEASURES, SYSTEMS, Row, mean, values
from svc.evaluation.page import Mark

BY_KEY = {measure.key: measure for measure in MEASURES}
# Label, and floor and ceiling: a number, or the systems whose score it is, the first that has one.
MARKS: dict[str, tuple[str, float | tuple[str, ...], float | tuple[str, ...]]] = {
    "cosine": ("similarity", ("copied",), ("truth", "reference")),
    "f0_median": ("melody off, cents", 50.0, 0.0),
    "content_distance": ("words lost", 1.0, 0.0),
    "breath_kept": ("breath kept", 0.0, 1.0),
    "distillmos": ("naturalness (MOS)", 1.0, ("copied",)),
    "mcd": ("MCD to truth, dB", ("copied",), ("truth",)),
}
LINES = {
    "similarity": ("named_target", "cosine"),
    "words": ("content_distance", "wer_difference", "mcd"),
    "sound": ("distillmos", "breath_kept", "pause_noise"),
}


def marks(row: Row, rows: Sequence[Row]) -> list[Mark]:
    """The scores of a conversion that have a floor and a ceiling, among all rows of the evaluation."""
    shown = []
    for key, (label, floor, ceiling) in MARKS.items():
        low, low_name = _end(floor, "floor", key, row, rows)
        high, high_name = _end(ceiling, "ceiling", key, row, rows)
        (value,) = values([row], key)
        if math.isnan(value + low + high) or low == high:
            continue
        measure = BY_KEY[key]
        hint = f"{measure.title}: from {measure.text(low)} ({low_name}) to {measure.text(high)} ({high_name})"
        shown.append(Mark(label, measure.text(value), (value - low) / (high - low), hint))
    return shown


def _end(end: float | tuple[str, ...], name: str, key: str, row: Row, rows: Sequence[Row]) -> tuple[float, str]:
    """Value and name of a floor or a ceiling."""
    if isinstance(end, float):
        return end, name
    for system in end:
        own = [r for r in rows if r["system"] == system and r["target"] == row["target"]]
        value = mean([r for r in own if r["song"] == row["song"]] if system != "reference" else own, key)
        if not math.isnan(value):
            return value, SYSTEMS[system]
    return math.nan, ""


def headline(rows: Sequence[Row], exposure: str = "") -> str:
    """One sentence about the conversions, or about the reconstructions if there are no conversions."""
    outputs, kind = _outputs(rows)
    songs = len({row["song"] for row in outputs})
    identified = [value for value in values(outputs, "named_target") if not math.isnan(value)]
    breath = mean(outputs, "breath_kept")
    parts = [f"melody {mean(outputs, 'f0_median'):.1f} cents off"]
    parts += [f"{sum(identified):.0f} of {len(identified)} taken for the target"] if identified else []
    parts += [] if math.isnan(breath) else [f"{breath:.0%} of the breath kept"]
    return f"{_count(len(outputs), kind)} of {_count(songs, 'song')}{exposure and f' {exposure}'}: {', '.join(parts)}."


def summary_lines(rows: Sequence[Row], exposure: str = "") -> list[str]:
    """Four lines for a terminal: the headline, then similarity, words and sound, with floor and ceiling in brackets.

    ``exposure`` is ``trained on`` or ``not trained on`` if the songs are only such.
    """
    outputs, _ = _outputs(rows)
    lines = [headline(rows, exposure)]
    for name, keys in LINES.items():
        texts = [_between(key, outputs, rows) for key in keys if not math.isnan(mean(outputs, key))]
        lines += [f"{name}: {', '.join(texts)}"] if texts else []
    return lines


def _between(key: str, outputs: Sequence[Row], rows: Sequence[Row]) -> str:
    measure = BY_KEY[key]
    ends = {
        name: mean([row for row in rows if row["system"] == system], key)
        for name, system in (("source", "copied"), ("truth", "truth"))
    }
    texts = [f"{name} {measure.text(end)}" for name, end in ends.items() if not math.isnan(end)]
    return f"{measure.title} {measure.text(mean(outputs, key))}" + (f" ({', '.join(texts)})" if texts else "")


def _outputs(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """The conversions by the voice, or its reconstructions, and what they are."""
    own = [row for row in rows if row["system"] == "voice"]
    converted = [row for row in own if row["speaker"] != row["target"]]
    return (converted, "conversion") if converted else (own, "reconstruction")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
