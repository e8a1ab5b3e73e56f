"""Envelope loss: the envelope of pulses and of noise that went through a known filter."""

import math
from dataclasses import replace

import pytest
import torch

from svc.config import Config
from svc.features.conditioning import Conditioning
from svc.losses.envelope import envelope_loss, measured_envelope, relative_envelope, spectral_envelope, total_envelope
from svc.models.generator import Generator

PITCHES = (110.0, 220.0, 440.0, 880.0)
FRAMES, POINTS, HOP = 60, 221, 441
FREQUENCY = torch.linspace(0, HOP * 50, POINTS)
MIDDLE = slice(10, 50)  # frames whose windows lie within the audio


@pytest.fixture(scope="module")
def rendered() -> tuple[Conditioning, torch.Tensor, torch.Tensor]:
    """Conditioning of four steady notes at −20 dB, their log envelopes, and the audio."""
    torch.manual_seed(0)
    generator = Generator(Config(), content_channels=1, num_speakers=1)
    count = len(PITCHES)
    conditioning = Conditioning(
        f0=torch.tensor(PITCHES)[:, None].repeat(1, FRAMES),
        voiced=torch.ones(count, FRAMES),
        phase=torch.zeros(count, FRAMES),
        loudness=torch.full((count, FRAMES), -20.0),
        relative_loudness=torch.zeros(count, FRAMES),
        content=torch.zeros(count, 1, FRAMES),
        speaker=torch.ones(count, 1),
        start_frame=torch.zeros(count, dtype=torch.long),
    )
    envelopes = torch.stack([torch.cos(6 * torch.pi * FREQUENCY / 22_050) - 1, torch.full((POINTS,), -6.0)])
    envelopes = envelopes.repeat(count, FRAMES, 1, 1)
    assert generator.source_filter
    with torch.no_grad():
        audio = generator.source_filter(generator.excitation(conditioning), envelopes).sum(dim=1) * 0.1
    return conditioning, envelopes, audio


def loss_of(envelopes, conditioning, audio, band=22_050.0):
    return envelope_loss(envelopes, conditioning, audio, torch.full((len(audio),), band), HOP)


def test_the_envelope_of_pulses_is_that_of_their_filter_at_any_pitch(rendered):
    conditioning, envelopes, audio = rendered
    measured = spectral_envelope(audio, conditioning.f0, HOP, POINTS)
    assert measured.shape == (len(PITCHES), FRAMES, POINTS)
    above_two_harmonics = 20
    difference = measured - envelopes[:, :, 0] + math.log(10)
    inner = difference[:, MIDDLE, above_two_harmonics : POINTS - 20].mean(dim=1)
    assert float(inner.abs().mean()) < 0.04
    assert float(inner.abs().max()) < 0.25


@pytest.mark.parametrize("flip", [False, True], ids=["harmonics", "noise"])
def test_the_measured_envelope_is_what_is_read_in_the_synthesised_audio(rendered, flip):
    """Also frame by frame, where noise scatters by some 3 dB; the plain sum of both envelopes lacks that."""
    conditioning, envelopes, _ = rendered
    torch.manual_seed(0)
    generator = Generator(Config(), content_channels=1, num_speakers=1)
    envelopes = envelopes.flip(2) if flip else envelopes
    with torch.no_grad():
        audio = generator.source_filter(generator.excitation(conditioning), envelopes).sum(dim=1) * 0.1
    read = spectral_envelope(audio, conditioning.f0, HOP, POINTS)
    error = (measured_envelope(envelopes, conditioning, HOP) - read)[:, MIDDLE, 20 : POINTS - 20]
    assert float(error.abs().mean()) < 0.1
    if flip:
        scatter = (total_envelope(envelopes, conditioning) - read)[:, MIDDLE, 20 : POINTS - 20].std()
        assert float(scatter) > 0.2
        assert float(error.std()) < 0.6 * float(scatter)


def test_relative_envelopes_start_at_the_loudest_frame_and_end_at_the_band(rendered):
    conditioning, _, audio = rendered
    measured = spectral_envelope(audio, conditioning.f0, HOP, POINTS)
    band = torch.tensor([22_050.0, 8_000.0, 8_000.0, 8_000.0])
    relative = relative_envelope(measured, conditioning, band, HOP)
    torch.testing.assert_close(relative[0, :, :200], measured[0, :, :200] + math.log(10))
    assert float(relative[1:, :, FREQUENCY > 8_000].max()) < -20


def test_white_noise_is_flat():
    audio = 0.1 * torch.randn(2, FRAMES * HOP, generator=torch.Generator().manual_seed(1))
    f0 = torch.full((2, FRAMES), 200.0)
    measured = spectral_envelope(audio, f0, HOP, POINTS)[:, MIDDLE].mean(dim=(0, 1))
    assert float((measured - math.log(0.1)).mean()) == pytest.approx(-0.17, abs=0.05)  # log of a mean of few bins
    assert float(measured.std()) < 0.1


def test_the_loss_is_near_zero_at_the_truth_and_a_gain_away_from_it(rendered):
    conditioning, envelopes, audio = rendered
    assert float(loss_of(envelopes, conditioning, audio, 20_000.0)) < 0.1
    louder = float(loss_of(envelopes + 0.8, conditioning, audio, 20_000.0))
    assert louder == pytest.approx(0.8, abs=0.04)


def test_noise_counts_with_its_power_and_alone_where_unvoiced(rendered):
    conditioning, envelopes, audio = rendered
    swapped = envelopes.flip(2)
    unvoiced = replace(conditioning, voiced=torch.zeros_like(conditioning.voiced))
    assert float(loss_of(swapped, unvoiced, audio, 20_000.0)) < 0.1
    assert float(loss_of(envelopes, unvoiced, audio, 20_000.0)) > 3.0


def test_nothing_above_the_band_counts(rendered):
    conditioning, envelopes, audio = rendered
    changed = envelopes + 5.0 * (FREQUENCY > 8_000)
    assert loss_of(changed, conditioning, audio, 8_000.0) == loss_of(envelopes, conditioning, audio, 8_000.0)
    assert float(loss_of(changed, conditioning, audio)) > 1.0


def test_silence_has_a_finite_gradient(rendered):
    conditioning, envelopes, audio = rendered
    envelopes = envelopes.clone().requires_grad_()
    loss_of(envelopes, conditioning, torch.zeros_like(audio)).backward()
    assert torch.isfinite(envelopes.grad).all()
