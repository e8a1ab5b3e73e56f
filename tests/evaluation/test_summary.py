"""Summary of an evaluation: sentences and marks from rows with exact scores."""

import math

import pytest

from svc.evaluation.summary import marks, summary_lines


def row(system: str, song: str = "a", target: str = "Bob", **scores: float) -> dict:
    return {"system": system, "song": song, "speaker": "Ann", "target": target, **scores}


@pytest.fixture
def rows() -> list[dict]:
    return [
        row("voice", cosine=0.6, f0_median=2.0, named_target=1.0, content_distance=0.25, breath_kept=0.5, mcd=math.nan),
        row("voice", "b", cosine=0.4, f0_median=4.0, named_target=0.0, content_distance=0.35, breath_kept=math.nan),
        row("copied", cosine=0.2, f0_median=0.0, named_target=0.0, content_distance=0.0),
        row("copied", "b", cosine=0.0, f0_median=0.0, named_target=0.0, content_distance=0.0),
        row("truth", cosine=0.8),
        {"system": "reference", "song": "Bob/0", "speaker": "Bob", "target": "Bob", "cosine": 1.0},
    ]


def test_lines(rows):
    assert summary_lines(rows) == [
        "2 conversions of 2 songs: melody 3.0 cents off, 1 of 2 taken for the target, 50% of the breath kept.",
        "similarity: identified as target 50.0% (source 0.0%), cosine to target 0.500 (source 0.100, truth 0.800)",
        "words: content distance (0 same, 1 unrelated) 0.300 (source 0.000)",
        "sound: breath kept 50.0%",
    ]
    assert summary_lines(rows, "not trained on")[0].startswith("2 conversions of 2 songs not trained on: melody 3.0")


def test_marks_lie_between_their_floor_and_ceiling(rows):
    """Of the song itself where there is one; the ceiling is the truth, or else the target's recordings."""
    first, second = (marks(output, rows) for output in rows[:2])
    assert [(mark.label, mark.value, mark.verdict) for mark in first] == [
        ("similarity", "0.600", "good"),
        ("melody off, cents", "2.00", "good"),
        ("words lost", "0.250", "good"),
        ("breath kept", "50.0%", "fair"),
    ]
    assert [mark.position for mark in first] == pytest.approx([(0.6 - 0.2) / (0.8 - 0.2), 0.96, 0.75, 0.5])
    assert [mark.label for mark in second] == ["similarity", "melody off, cents", "words lost"]
    assert second[0].position == pytest.approx(0.4)
    assert second[0].hint == (
        "cosine to target: from 0.000 (source, unconverted) to 1.000 (target's enrolment recordings)"
    )
