"""Synthetic speech, where its library is installed."""

import ctypes.util
from itertools import pairwise

import pytest
from phonetics.espeak import Espeak, espeak

from svc.errors import DataError

needs_espeak = pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng is not installed")


@needs_espeak
def test_sounds_come_in_order_and_cover_the_time():
    audio, segments = espeak().say("see", "en-us")
    assert [phone for segment in segments for phone in segment.phones if phone != "_"] == ["s", "i"]
    assert all(one.end == other.start for one, other in pairwise(segments))
    assert segments[-1].end == pytest.approx(len(audio.samples) / audio.rate * 100)


@needs_espeak
def test_errors_are_one_line():
    with pytest.raises(DataError, match="no voice xx-none"):
        espeak().say("a", "xx-none")
    with pytest.raises(DataError, match="has no sound"):
        espeak().say("", "en-us")


def test_without_the_library_a_sentence(monkeypatch):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(DataError, match=r"espeak-ng is not installed.*--synthetic 0"):
        Espeak()
