"""By how much a song is moved: exact semitones for melodies at known places."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.errors import DataError
from svc.features import transpose
from svc.utils.units import F0_RANGE_HZ

A3 = np.full(50, 220.0, dtype=np.float32)


@pytest.mark.parametrize("text", ["", "high", "nan", "inf", "49", "1e9"])
def test_parse_transpose_refuses(text):
    with pytest.raises(DataError, match="give auto, match, or semitones"):
        transpose.parse_transpose(text)


def test_parse_transpose():
    texts = ("auto", " Match", "-12", "0.5", "+7")
    assert [transpose.parse_transpose(text) for text in texts] == ["auto", "match", -12.0, 0.5, 7.0]


def test_auto_shifts_by_octaves_into_the_range():
    assert transpose.choose_transposition("auto", A3, (110.0, 80.0, 160.0)) == -12
    assert transpose.choose_transposition("auto", A3, (440.0, 330.0, 600.0)) == 12
    assert transpose.choose_transposition("auto", A3, (220.0, 110.0, 440.0)) == 0
    assert transpose.choose_transposition("auto", A3, (55.0, 45.0, 70.0)) == -24


def test_the_range_counts_more_than_the_median():
    """A song of two octaves whose median is far from the singer's, but which only fits as it is."""
    song = np.concatenate([np.full(40, 110.0), np.full(60, 392.0)])
    assert transpose.choose_transposition("auto", song, (140.0, 108.0, 395.0)) == 0
    assert round(12 * np.log2(140 / 392)) == -18  # by the medians alone it would go down


def test_match_brings_the_medians_together_and_leaves_the_key():
    assert transpose.choose_transposition("match", A3, (330.0, 200.0, 500.0)) == pytest.approx(7.02, abs=0.005)


def test_no_shift_without_a_range_or_voiced_frames():
    for wanted in ("auto", "match"):
        assert transpose.choose_transposition(wanted, A3[:0], (110.0, 80.0, 160.0)) == 0
        assert transpose.choose_transposition(wanted, A3, (0.0, 0.0, 0.0)) == 0
    assert transpose.choose_transposition(-3.5, A3[:0], (0.0, 0.0, 0.0)) == -3.5


@given(st.floats(60, 1000), st.floats(60, 1000))
def test_auto_is_whole_octaves_and_never_makes_it_worse(song, median):
    """Nobody sings it further from home than it was."""
    f0, home = np.full(9, song), (median, median / 1.3, median * 1.3)
    shift = transpose.choose_transposition("auto", f0, home)
    assert shift % 12 == 0
    assert abs(12 * np.log2(median / song) - shift) <= abs(12 * np.log2(median / song)) + 1.01


def test_notes_beyond_the_range_are_counted():
    song = np.array([100.0, 119.0, 200.0, 300.0, 330.0, 1000.0, 200.0, 200.0])
    assert transpose.share_outside_range(song, 120.0, 310.0) == (1 / 8, 2 / 8)  # a semitone is allowed
    assert transpose.share_outside_range(song, 0.0, 0.0) == (0, 0)
    assert transpose.share_outside_range(song[:0], 120.0, 310.0) == (0, 0)


def test_a_few_notes_outside_move_nothing():
    song = np.concatenate([np.full(15, 140.0), np.full(85, 165.0)])
    assert transpose.choose_transposition("auto", song, (218.0, 151.0, 520.0)) == 0


def test_a_shifted_melody_stays_in_the_range_of_f0():
    assert transpose.transpose_f0(np.array([30.0, 220.0, 3000.0]), 12.0).tolist() == [60.0, 440.0, F0_RANGE_HZ[1]]


@pytest.mark.parametrize(("song", "shift"), [(248.0, 0.0), (176.0, 12.0), (130.0, 12.0), (900.0, -12.0)])
def test_in_doubt_the_song_stays_where_it_is(song, shift):
    """For a woman known by speech (204 to 817 Hz, a guess): a woman's song stays, a man's goes up an octave."""
    notes = song * 2 ** (np.array([-3.0, 0, 2, 4]) / 12)
    assert transpose.choose_transposition("auto", notes, (384.0, 204.0, 817.0)) == shift
