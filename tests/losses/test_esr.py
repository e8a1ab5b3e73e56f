"""ESR and DC loss, by hand."""

import pytest
import torch

from svc.losses.esr import dc_loss, esr

RATE = 44_100


def tone(hz: float) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz / RATE * torch.arange(RATE // 2)).expand(2, -1)


@pytest.mark.parametrize("weighting", ["none", "a_weighting", "pre_emphasis"])
@pytest.mark.parametrize(("gain", "wanted"), [(1, 0), (0, 1), (-1, 4), (0.5, 0.25)])
def test_esr_of_a_gain(gain, wanted, weighting):
    value = esr(fake=gain * tone(500), real=tone(500), sample_rate=RATE, weighting=weighting)
    assert float(value) == pytest.approx(wanted, abs=1e-5)


def test_a_silent_target_has_a_finite_esr():
    assert float(esr(fake=tone(100), real=0 * tone(100), sample_rate=RATE)) == pytest.approx(0.5e8, rel=1e-3)


def test_weighting_counts_an_error_by_its_frequency():
    real = tone(1_000)
    low, high = (
        esr(fake=real + 0.1 * tone(hz), real=real, sample_rate=RATE, weighting="a_weighting") for hz in (100, 2_500)
    )
    assert float(low) == pytest.approx(0.01 * 10 ** (-1.91), rel=0.1)
    assert float(high) == pytest.approx(0.01 * 10**0.127, rel=0.02)


def test_dc_of_an_offset():
    assert float(dc_loss(fake=tone(100) + 0.1, real=tone(100))) == pytest.approx(0.01 / 0.5, rel=1e-3)
    assert float(dc_loss(fake=tone(200), real=tone(100))) == pytest.approx(0, abs=1e-8)
