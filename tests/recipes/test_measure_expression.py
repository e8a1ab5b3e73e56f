"""Measures of expression are exact on curves whose drift, extent and errors are known."""

import numpy as np
import pytest
from test_recipes import recipe

TIME = (np.arange(2500) + 0.5) / 100


@pytest.fixture(scope="module")
def measures():
    return recipe("measure_expression")


def test_a_held_note(measures):
    """At 70 % of the extent, rising by a cent a second and 9 in the seam after 10 s: 14 + 9 · 0.95 in 14 s."""
    truth = 220 * 2 ** (80 / 1200 * np.sin(12 * np.pi * TIME))
    curve = 220 * 2 ** ((56 * np.sin(12 * np.pi * TIME) + TIME + 9 * (TIME > 10)) / 1200)
    (_, _, same, drift), (*_, kept), (*_, rate), (*_, seam) = measures._held_note("note", truth, truth, curve)
    assert (same, drift) == ("+0.00 cents", "+22.55 cents")
    assert kept == "70.0%"
    assert rate == "0.00 Hz"
    assert 9 <= float(seam.split(",")[0]) < 19


def test_errors_of_f0(measures):
    """Of 8 voiced frames one is muted, one an octave off, one 150 cents off."""
    truth = np.array([0, *[100.0] * 8])
    curve = truth * [1, 0, 2, 2 ** (150 / 1200), 1, 1, 1, 1, 1]
    assert [row[-1] for row in measures._errors("glide", truth, curve)] == ["87.5%", "0.00 cents", "71.4%", "14.3%"]
    assert measures._voicing("whisper", truth, truth, curve)[0][1:] == ["voiced frames", "88.89%", "77.78%"]


def test_whispers_have_no_f0(measures):
    samples, f0 = measures._verse([0, 1], whispered=True)
    assert len(samples) == 240 * len(f0)
    assert not f0.any()
