"""Vibrato and glides: exact where they are synthetic, lower where they are smoothed away."""

import math

import numpy as np
import pytest

from svc.evaluation.metrics.f0 import expression_scores

TIME = np.arange(600) / 100


def note(extent: float, rate: float = 6.0, glide: float = 0.0) -> np.ndarray:
    """f0 around 220 Hz: vibrato in cents, on a glide of so many cents per second to and fro."""
    wave = extent * np.sin(2 * np.pi * rate * TIME) + glide * np.abs(TIME % 2 - 1)
    return 220 * 2 ** (wave / 1200)


def scores(output: np.ndarray, source: np.ndarray) -> dict[str, float]:
    return expression_scores(output_f0=output, source_f0=source)


@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_extent_of_vibrato(kept):
    measured = scores(2 * note(80 * kept), note(80))
    assert measured["vibrato_extent"] == pytest.approx(kept, abs=0.01)
    assert measured["vibrato_rate"] == pytest.approx(0, abs=0.05)


def test_rate_of_vibrato():
    assert scores(note(80, rate=5.0), note(80))["vibrato_rate"] == pytest.approx(1.0, abs=0.1)


def test_glides():
    source = note(0, glide=400)
    assert scores(source / 2, source)["f0_slope"] == pytest.approx(1)
    assert math.isnan(scores(note(0), source)["f0_slope"])
    assert scores(source[::-1].copy(), np.roll(source, 40))["f0_slope"] < 0.7


def test_without_vibrato_there_is_nothing_to_keep():
    assert all(math.isnan(value) for value in scores(note(80), note(0)).values())
    unvoiced = np.zeros(600)
    assert all(math.isnan(value) for value in scores(unvoiced, note(80)).values())
    assert all(math.isnan(value) for value in scores(note(80)[:3], note(80)[:3]).values())
