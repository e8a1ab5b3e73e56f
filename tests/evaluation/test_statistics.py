"""Intervals hold what they promise, and count files, not conversions."""

import math

import numpy as np
import pytest

from svc.evaluation.statistics import estimate, sign_flip_p_value


def names(count):
    return [f"{number}.wav" for number in range(count)]


def width(result):
    return result.high - result.low


class TestEstimate:
    def test_the_mean_is_of_the_files_means(self):
        result = estimate([1, 2, 3, 10, 20], ["a", "a", "a", "b", "c"])
        assert result.mean == pytest.approx((2 + 10 + 20) / 3)
        assert result.files == 3

    def test_more_rows_of_a_file_do_not_narrow_the_interval(self):
        values = np.random.default_rng(0).normal(5, 2, 12)
        once = estimate(values, names(12))
        again = estimate(np.tile(values, 50), names(12) * 50)
        assert [again.mean, again.low, again.high] == pytest.approx([once.mean, once.low, once.high])
        assert again.files == 12
        assert width(estimate(np.tile(values, 50), names(600))) < width(once) / 5  # as if they were

    def test_coverage(self):
        """Files of 5 rows each, which agree among themselves; 200 times."""
        rng = np.random.default_rng(1)
        held = 0
        for _ in range(200):
            rows = rng.normal(3, 1, (20, 1)) + rng.normal(0, 0.3, (20, 5))
            result = estimate(rows.ravel(), [name for name in names(20) for _ in range(5)])
            held += result.low <= 3 <= result.high
        assert 0.88 <= held / 200 <= 0.99

    def test_what_was_not_measured_is_left_out(self):
        result = estimate([1, math.nan, 3, math.nan], ["a", "a", "b", "c"])
        assert result.mean == 2
        assert result.files == 2
        assert result == estimate([1, 3], ["a", "b"])

    @pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.nan]])
    def test_of_nothing(self, values):
        result = estimate(values, names(len(values)))
        assert result.files == 0
        assert all(math.isnan(number) for number in (result.mean, result.low, result.high))


class TestChance:
    def test_counted_by_hand(self):
        """Of the eight ways to sign 1, 2, 3 these means are as far from 0 as that of 3 + 2 − 1: ±6/3 and ±4/3."""
        assert sign_flip_p_value([-1.0, 2.0, 3.0], names(3)) == pytest.approx(4 / 8)

    def test_of_nothing_and_of_zeros(self):
        assert math.isnan(sign_flip_p_value([math.nan], ["a"]))
        assert sign_flip_p_value([0.0, 0.0], names(2)) == 1
