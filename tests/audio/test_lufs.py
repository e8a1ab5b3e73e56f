"""Loudness in LUFS, at values that the standard gives."""

import math

import numpy as np
import pyloudnorm
import pytest

from svc.audio import lufs


def sine(level: float, seconds: float, rate: int = 48_000) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (level / 20) * np.sin(2 * np.pi * 997 * time)).astype(np.float32)


def test_a_sine_of_997_hz():
    """BS.1770: 0 dB in one channel reads −3.01 LKFS."""
    assert lufs.integrated(sine(0, 5), 48_000) == pytest.approx(-3.01, abs=0.05)
    assert lufs.integrated(sine(-20, 5), 48_000) == pytest.approx(-23.01, abs=0.05)


def test_two_channels_add_up():
    both = np.stack([sine(-20, 1)] * 2, axis=1)
    assert lufs.integrated(both, 48_000) == pytest.approx(-20.0, abs=0.05)


def test_silence_and_what_is_too_short_have_none():
    assert lufs.integrated(np.zeros(48_000, np.float32), 48_000) == -math.inf
    assert lufs.integrated(sine(0, 0.39), 48_000) == -math.inf


def test_pauses_do_not_count():
    song = np.concatenate([sine(-20, 4), np.zeros(4 * 48_000, np.float32), sine(-20, 4)])
    assert lufs.integrated(song, 48_000) == pytest.approx(-23.01, abs=0.3)


def test_pieces_are_gated_together(monkeypatch):
    rng = np.random.default_rng(0)
    song = np.concatenate([rng.normal(0, level, 24_000 * 3) for level in (0.2, 0.001, 0.05, 0.3)]).astype(np.float32)
    whole = pyloudnorm.Meter(24_000).integrated_loudness(song.astype(np.float64))
    assert lufs.integrated(song, 24_000) == pytest.approx(whole, abs=1e-6)
    monkeypatch.setattr(lufs, "PIECE", 3)
    assert lufs.integrated(song, 24_000) == pytest.approx(whole, abs=0.3)
