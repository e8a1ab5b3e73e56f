"""Invariance of features at known values."""

import numpy as np
import pytest
from phonetics.invariance import Take, abx_error, distances, probe_accuracy, warped_distance

RNG = np.random.default_rng(0)
WORDS = {
    name: np.repeat(np.linalg.qr(RNG.standard_normal((8, 8)))[0], 5, axis=1)[:, RNG.permutation(40)] for name in "ab"
}


def takes(singer_shows: float, words_show: float = 1.0) -> list[Take]:
    """Two words by three singers, each with a colour of their own on top."""
    return [
        Take(singer, word, "calm", words_show * WORDS[word] + singer_shows * np.eye(8)[:, [number]])
        for number, singer in enumerate(("ann", "bob", "eve"))
        for word in WORDS
    ]


def test_a_copy_is_no_way_off_and_a_warp_costs_nothing():
    one = WORDS["a"]
    assert warped_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert warped_distance(one, np.repeat(one, 2, axis=1)) == pytest.approx(0, abs=1e-6)
    assert warped_distance(np.eye(2)[:, [0, 0, 0]], np.eye(2)[:, [1, 1]]) == pytest.approx(1, abs=1e-6)


def test_words_alone_and_singers_alone():
    assert np.mean(distances(takes(0.0), same_words=True)) == pytest.approx(0, abs=1e-6)
    assert np.mean(distances(takes(0.0), same_words=False)) > 0.2
    assert np.mean(distances(takes(1.0, words_show=0.0), same_words=False)) == pytest.approx(0, abs=1e-6)
    assert np.mean(distances(takes(1.0, words_show=0.0), same_words=True)) == pytest.approx(1, abs=1e-6)


def test_abx():
    assert abx_error(takes(0.0)) == 0
    assert abx_error(takes(1.0, words_show=0.0)) == pytest.approx(0.5, abs=0.2)
    assert np.isnan(abx_error([]))


def test_a_probe_finds_what_is_there_and_nothing_else():
    labels = [name for name in "abc" for _ in range(40)]
    folds = [number % 4 for number in range(120)]
    noise = RNG.standard_normal((120, 5))
    vectors_of_labels = noise + 6 * np.eye(5)[[ord(label) - ord("a") for label in labels]]
    assert probe_accuracy(vectors_of_labels, labels, folds) > 0.97
    assert probe_accuracy(noise, labels, folds) < 0.5
