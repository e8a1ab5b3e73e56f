"""Sung sounds in time: the best path, on which a loud frame is no silence."""

import numpy as np
import pytest
import torch
from phonetics.alignment import force_align
from phonetics.phones import NUMBER, PHONES, SILENCE, Segment

VOWEL, OTHER, HISS = (NUMBER[phone] for phone in "ais")


def posteriors_of(*likeliest: int, share: float = 0.9) -> torch.Tensor:
    """Log posteriors of a listener who hears one sound in each frame, fairly surely."""
    posteriors = torch.full((len(likeliest), len(PHONES)), (1 - share) / (len(PHONES) - 1))
    posteriors[range(len(likeliest)), likeliest] = share
    return posteriors.log()


def test_silence_is_where_it_is_quiet():
    loud = np.repeat([False, True, False, True], 10)
    posteriors = posteriors_of(*[SILENCE] * 40)
    before = posteriors.clone()
    assert force_align(posteriors, [VOWEL, OTHER], loud) == [Segment(("a",), 10, 20), Segment(("i",), 30, 40)]
    assert torch.equal(posteriors, before)


@pytest.mark.parametrize("loud", [False, True])
def test_phones_are_aligned_to_their_posteriors(loud):
    posteriors = posteriors_of(*[HISS] * 6, *[VOWEL] * 20, *[OTHER] * 14)
    result = force_align(posteriors, [HISS, VOWEL, OTHER], np.full(40, loud))
    assert result == [Segment(("s",), 0, 6), Segment(("a",), 6, 26), Segment(("i",), 26, 40)]


def test_a_sound_that_comes_twice_falls_silent_in_between_for_one_frame():
    one, other = force_align(posteriors_of(*[SILENCE] * 30), [VOWEL, VOWEL], np.ones(30, dtype=bool))
    assert (one.start, other.end) == (0, 30)
    assert other.start - one.end == 1
    parted = force_align(posteriors_of(*[SILENCE] * 30), [VOWEL, VOWEL], np.repeat([True, False, True], 10))
    assert parted == [Segment(("a",), 0, 10), Segment(("a",), 20, 30)]


def test_more_sounds_than_frames_are_nowhere():
    everywhere, posteriors = np.ones(3, dtype=bool), posteriors_of(HISS, VOWEL, OTHER)
    assert [segment.start for segment in force_align(posteriors, [HISS, VOWEL, OTHER], everywhere)] == [0, 1, 2]
    assert force_align(posteriors, [HISS, VOWEL, OTHER, VOWEL], everywhere) == []
    assert force_align(posteriors, [VOWEL, VOWEL, OTHER], everywhere) == []  # between the same there must be a frame
    assert force_align(posteriors, [], everywhere) == []
