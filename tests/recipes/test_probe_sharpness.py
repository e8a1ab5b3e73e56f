"""Sharpened envelopes: flat ones stay, a peak rises by the share of it that its neighbours do not have."""

import pytest
import torch
from test_recipes import recipe


def test_flat_envelopes_stay_and_peaks_rise_along_their_axis():
    sharpen = recipe("probe_sharpness").sharpen
    flat = torch.full((1, 40, 2 * 33), 2.0)
    torch.testing.assert_close(sharpen(flat, 0.5, 0.5), flat)
    peak = torch.zeros(1, 40, 2, 33)
    peak[0, 20, 1, 16] = 1.0
    along = sharpen(peak.flatten(2), 0.5, 0.0).unflatten(2, (2, 33))
    assert along[0, 20, 1, 16] == pytest.approx(1 + 0.5 * (1 - 1 / 9))
    assert along[0, 20, 1, 14] == pytest.approx(-0.5 / 9)
    assert along[0, 20, 0].abs().max() == 0
    assert along[0, 19].abs().max() == 0
    in_time = sharpen(peak.flatten(2), 0.0, 0.5).unflatten(2, (2, 33))
    assert in_time[0, 20, 1, 16] == pytest.approx(1 + 0.5 * (1 - 1 / 15))
    assert in_time[0, 14, 1, 16] == pytest.approx(-0.5 / 15)
    assert in_time[0, 20, 1, 15] == 0
