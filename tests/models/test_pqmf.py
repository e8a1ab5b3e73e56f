"""The filter pqmf: what goes in comes out, and every band hears its own share of the spectrum."""

import pytest
import torch

from svc.models.pqmf import PQMF


def db(power: torch.Tensor) -> float:
    return float(10 * torch.log10(power))


def reconstruct(pqmf: PQMF, audio: torch.Tensor) -> torch.Tensor:
    return pqmf.synthesis(pqmf.analysis(audio))


@pytest.mark.parametrize("bands", [2, 8, 21, 49])
def test_synthesis_of_analysis_is_the_identity(bands):
    pqmf = PQMF(bands)
    audio = torch.randn(1, 1, 1_200 * bands, generator=torch.Generator().manual_seed(0))
    error = (reconstruct(pqmf, audio) - audio)[..., pqmf.margin : -pqmf.margin]
    assert db(error.square().mean() / audio.square().mean()) < -60


def test_one_band_is_the_audio():
    audio = torch.randn(2, 1, 100)
    assert torch.equal(reconstruct(PQMF(1), audio), audio)
    assert PQMF(1).margin == 0


@pytest.mark.parametrize("bands", [1, 8, 21])
def test_synthesis_is_the_adjoint_of_analysis(bands):
    pqmf = PQMF(bands).double()
    audio = torch.randn(3, 1, 40 * bands, dtype=torch.float64)
    parts = torch.randn(3, bands, 40, dtype=torch.float64)
    torch.testing.assert_close((pqmf.analysis(audio) * parts).sum(), (audio * pqmf.synthesis(parts)).sum())


@pytest.mark.parametrize("bands", [2, 8, 21])
def test_a_tone_lands_in_its_band(bands):
    pqmf = PQMF(bands)
    for band in range(bands):
        tone = torch.cos(torch.pi * (band + 0.5) / bands * torch.arange(1_000 * bands))[None, None]
        power = pqmf.analysis(tone)[0, :, 200:-200].square().mean(dim=-1)
        others = torch.cat([power[:band], power[band + 1 :]])
        assert db(others.max() / power[band]) < -50
        assert power[band] == pytest.approx(bands / 2, rel=0.01)  # energy is preserved


@pytest.mark.parametrize("bands", [2, 16])
def test_margin_is_the_extent_of_an_impulse_response(bands):
    pqmf = PQMF(bands)
    clicks = torch.eye(bands * 100)[:, None].double()[50 * bands : 51 * bands]
    touched = reconstruct(pqmf.double(), clicks).abs().sum(dim=(0, 1)).nonzero()[:, 0]
    assert 50 * bands - int(touched[0]) <= pqmf.margin
    assert int(touched[-1]) - (51 * bands - 1) <= pqmf.margin
    assert int(touched[-1]) - int(touched[0]) >= 2 * pqmf.margin - bands


def test_shapes_and_order():
    bands, channels, batch, count = 4, 3, 2, 30
    pqmf = PQMF(bands)
    audio = torch.randn(batch, channels, bands * count)
    parts = pqmf.analysis(audio)
    assert parts.shape == (batch, channels * bands, count)
    for channel in range(channels):
        alone = pqmf.analysis(audio[:, channel : channel + 1])
        torch.testing.assert_close(parts[:, channel * bands : (channel + 1) * bands], alone)
        assert pqmf.synthesis(alone).shape == (batch, 1, bands * count)
