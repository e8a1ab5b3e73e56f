"""Discriminators: shapes, views, and gradients with respect to the audio."""

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.config import DiscriminatorConfig
from svc.models.discriminators import build_discriminator, mel_positions

KINDS = ("mel", "multi_resolution", "multi_scale", "multi_period")


def discriminator(kind: str, **options):
    torch.manual_seed(0)
    return build_discriminator(DiscriminatorConfig(kinds=(kind,), channels=4, max_channels=16, **options), 24_000)


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(KINDS[2:]), batch=st.integers(1, 3), samples=st.integers(200, 3_000), views=st.integers(1, 4)
)
def test_shapes(kind, batch, samples, views):
    outputs = discriminator(kind, scales=views, periods=(2, 3, 5, 7)[:views])(torch.randn(batch, samples))
    assert len(outputs) == views
    for i, (scores, activations) in enumerate(outputs):
        if kind == "multi_scale":
            length = samples // 2**i
            patches = ceil(length / 4**3)  # three strides of 4
            assert scores.shape == (batch, 1, patches)
            assert [a.shape[1] for a in activations] == [4, 16, 16, 16, 16]
            assert activations[0].shape[2] == length
        else:
            period = (2, 3, 5, 7)[i]
            assert (scores.shape[:2], scores.shape[3]) == ((batch, 1), period)
            assert [a.shape[1] for a in activations] == [4, 16, 16, 16]
            assert activations[0].shape[2:] == (ceil(ceil(samples / period) / 3), period)


@pytest.mark.parametrize("kind", KINDS)
def test_every_view_moves_every_sample(kind):
    network = discriminator(kind)
    for view in range(len(network.views)):
        audio = torch.randn(1, 1_000, requires_grad=True)
        network(audio)[view][0].sum().backward()
        assert (audio.grad != 0).float().mean() > 0.95


def test_scales_have_halved_rates_and_periods_fold():
    slow = torch.cos(torch.pi * 0.02 * torch.arange(2_000))[None]
    fast = torch.cos(torch.pi * 0.9 * torch.arange(2_000))[None]
    network = discriminator("multi_scale", scales=3)

    def response(audio: torch.Tensor, view: int) -> torch.Tensor:
        return network(audio)[view][1][0][..., 20:-20].std(dim=-1).norm()

    assert response(fast, 0) > 0.2 * response(slow, 0)
    assert response(fast, 2) < 0.2 * response(slow, 2)
    comb = torch.zeros(1, 600)
    comb[0, ::5] = 1
    columns = discriminator("multi_period", periods=(5,))(comb)[0][1][0]
    assert (columns[..., 1:] == columns[..., 1:2]).all()  # four silent columns, one with all the pulses
    assert not torch.allclose(columns[..., 0], columns[..., 1])


def test_multi_resolution_spectrograms_have_a_patch_for_every_4_frames_and_16_bins():
    outputs = discriminator("multi_resolution", fft_sizes=(512, 256))(torch.randn(2, 2_560))
    assert [scores.shape for scores, _ in outputs] == [(2, 1, 6, 17), (2, 1, 11, 9)]
    assert [a.shape[1] for a in outputs[0][1]] == [4, 8, 8, 8]


def test_multi_resolution_spectrograms_tell_noise_from_a_tone_within_fifty_steps():
    network = discriminator("multi_resolution", fft_sizes=(512, 256))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        noise = torch.randn(8, 2_400, generator=generator)
        frequency = 0.02 + 0.2 * torch.rand(8, 1, generator=generator)
        tone = 2**0.5 * torch.sin(2 * torch.pi * frequency * torch.arange(2_400))
        loss = sum(
            (t - 1).square().mean() + n.square().mean()
            for (t, _), (n, _) in zip(network(tone), network(noise), strict=True)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        for (tones, _), (noises, _) in zip(network(tone), network(noise), strict=True):
            assert tones.mean(dim=(1, 2, 3)).min() > noises.mean(dim=(1, 2, 3)).max()


def test_mel_spectrograms_have_a_patch_for_every_2_frames_and_8_bands():
    scores, activations = discriminator("mel", mel_bands=80)(torch.randn(2, 24_000))[0]
    assert scores.shape == (2, 1, 51, 10)
    assert [a.shape[1:] for a in activations] == [(4, 101, 80), (8, 101, 40), (8, 51, 20), (8, 51, 10)]


def test_several_discriminators_give_the_views_of_all():
    config = DiscriminatorConfig(kinds=("mel", "multi_resolution"), fft_sizes=(512, 256), channels=4)
    network, audio = build_discriminator(config, 24_000), torch.randn(2, 4_800)
    outputs = network(audio)
    assert len(outputs) == 3
    torch.testing.assert_close(outputs[0][0], network.discriminators[0](audio)[0][0])


def formants() -> torch.Tensor:
    """Log envelopes (2, 20, 121) of two voices, with a formant each."""
    frequency = torch.linspace(0, 12_000, 121)
    return torch.stack([-(((frequency - f) / 500).square()) for f in (500.0, 4_000.0)])[:, None].repeat(1, 20, 1)


def test_an_envelope_discriminator_tells_whose_segment_it_is():
    torch.manual_seed(0)
    config = DiscriminatorConfig(kinds=("envelope",), channels=4)
    network, voices = build_discriminator(config, 24_000, 8), formants()
    speakers = torch.randn(2, 8)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)

    def scores(embeddings: torch.Tensor) -> torch.Tensor:
        return network(voices, embeddings)[0][0].mean(dim=(1, 2, 3))

    for _ in range(60):
        loss = (scores(speakers) - 1).square().sum() + scores(speakers.flip(0)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert float(scores(speakers).min()) > float(scores(speakers.flip(0)).max()) + 0.3


def test_mel_positions_interpolate():
    matrix = mel_positions(111, 40, 11_025.0)
    frequency = torch.linspace(0, 11_025, 111) @ matrix
    assert float(frequency[0]) == 0
    assert float(frequency[-1]) == pytest.approx(11_025, abs=0.1)
    mel = 2595 * torch.log10(1 + frequency / 700)
    torch.testing.assert_close(mel.diff(), mel.diff().mean().expand(39), rtol=1e-3, atol=0.05)
