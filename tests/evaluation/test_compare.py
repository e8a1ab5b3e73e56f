"""Paired comparison: better means more than noise."""

import numpy as np
import pytest

from svc.errors import DataError
from svc.evaluation.compare import compare, tabulate


def rows(count, speaker="Ann", target="Bob", system="voice", **scores):
    """Rows of as many songs; a score is a number for all, or one each."""
    return [
        {"system": system, "song": f"{number}", "speaker": speaker, "target": target}
        | {name: float(np.broadcast_to(value, count)[number]) for name, value in scores.items()}
        for number in range(count)
    ]


def verdicts(a, b):
    return {d.measure.key: d for d in compare(a, b)["converted"] if d.estimate.files}


RNG = np.random.default_rng(0)
SONGS = RNG.normal(20, 10, 30)  # songs differ far more than systems do


class TestVerdict:
    @pytest.mark.parametrize(
        ("key", "gain", "verdict"),
        [
            ("f0_rmse", 1.0, "worse"),
            ("f0_rmse", -1.0, "better"),
            ("cosine", 1.0, "better"),
            ("cosine", -1.0, "worse"),
            ("wavenet_0-1", 1.0, "different"),
        ],
    )
    def test_small_but_steady(self, key, gain, verdict):
        steady = SONGS + gain + RNG.normal(0, 0.5, 30)
        differences = verdicts(rows(30, **{key: SONGS}), rows(30, **{key: steady}))[key]
        assert differences.estimate.mean == pytest.approx(gain, abs=0.3)
        assert differences.estimate.low < gain < differences.estimate.high
        assert differences.verdict == verdict

    def test_noise(self):
        differences = verdicts(rows(30, f0_rmse=SONGS), rows(30, f0_rmse=SONGS + RNG.permutation([3, -3] * 15)))[
            "f0_rmse"
        ]
        assert differences.verdict == "not significant"

    def test_towards_zero(self):
        a, b = rows(8, global_variance=-3.0), rows(8, global_variance=1.0)
        assert verdicts(a, b)["global_variance"].verdict == "better"
        assert verdicts(b, a)["global_variance"].verdict == "worse"
        there_and_back = rows(8, global_variance=[9, -9] * 4)  # of which the mean is 0
        assert verdicts(a, there_and_back)["global_variance"].verdict == "worse"
        assert (
            verdicts(rows(8, global_variance=-0.9), rows(8, global_variance=0.9))["global_variance"].verdict
            == "not significant"
        )

    def test_few_songs_say_nothing(self):
        count = 5
        assert verdicts(rows(count, cosine=0.1), rows(count, cosine=0.9))["cosine"].verdict == "too few songs"


def test_pairs_are_songs_and_targets():
    a = rows(3, cosine=[0.1, 0.2, 0.3])
    b = rows(2, cosine=[0.5, 0.7]) + rows(1, target="Eve", cosine=9) + rows(3, system="copied", cosine=8)
    differences = verdicts(a, b)["cosine"]
    assert differences.estimate.mean == pytest.approx(0.45)
    assert (differences.a, differences.b) == pytest.approx((0.15, 0.6))


def test_what_one_lacks_is_left_out():
    a, b = rows(3, mcd=[1, np.nan, 3]), rows(3, mcd=[2, 100, 5], cosine=1)
    differences = verdicts(a, b)
    assert list(differences) == ["mcd"]
    assert differences["mcd"].estimate.mean == pytest.approx(1.5)
    assert differences["mcd"].a == pytest.approx(2)


def test_reconstructions_stand_apart():
    a = rows(3, speaker="Bob", cosine=0.5) + [row | {"song": f"{row['song']}x"} for row in rows(3, cosine=0.1)]
    for kind in ("converted", "reconstructed"):
        cosine = next(each for each in compare(a, a)[kind] if each.measure.key == "cosine")
        assert cosine.estimate.files == 3


def test_nothing_in_common():
    with pytest.raises(DataError, match="share no conversion"):
        compare(rows(2), rows(2, target="Eve"))


def test_table():
    table = tabulate(compare(rows(8, cosine=SONGS[:8]), rows(8, cosine=SONGS[:8] + 1))["converted"], "old", "new")
    assert table.columns == ["", "old", "new", "difference", "songs", "p", "new is"]
    assert [(row[0], *row[3:]) for row in table.rows] == [
        ("cosine to target", "1.000 ±0.000", "8", "0.008", "better"),
    ]
