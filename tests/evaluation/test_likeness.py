"""Likeness of an adapted speaker: what is said of it, and when there is a warning."""

import pytest

from svc.evaluation.likeness import Likeness


@pytest.mark.parametrize(
    ("identified", "song", "cosine", "warned"),
    [(4, True, 0.8, False), (4, False, 0.8, True), (2, True, 0.8, True), (4, True, 0.6, True)],
)
def test_a_warning_where_no_likeness_is_to_be_expected(identified, song, cosine, warned):
    lines = Likeness(4, identified, song, cosine, floor=0.5, ceiling=0.9).describe("Ann")
    assert f"{identified} of 4 held-out clips are taken for Ann" in lines[0]
    assert ("is not taken" in lines[0]) == (not song)
    assert "other speakers of this voice 0.50, Ann's own clips 0.90" in lines[1]
    assert (len(lines) == 3) == warned
    if warned:
        assert lines[2].endswith("; add --finetune-model, or give more clips, best of singing")
        again = Likeness(4, identified, song, cosine, floor=0.5, ceiling=0.9).describe("Ann", finetuned=True)
        assert "--finetune-model" not in again[2]  # which was tried
