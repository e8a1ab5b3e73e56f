"""Aperiodicity loss: harmonics and noise of known envelopes, at steady and at moving f0."""

import math
from dataclasses import replace

import pytest
import torch

from svc.config import Config
from svc.features.conditioning import Conditioning, phase_track
from svc.losses.aperiodicity import aperiodicity_loss, power_between_harmonics
from svc.losses.envelope import envelope_loss
from svc.models.generator import Generator

PITCHES = (110.0, 220.0, 440.0)
FRAMES, POINTS, HOP = 90, 221, 441
BAND = torch.full((len(PITCHES),), 22_050.0)
NOISE_LEVELS = (-2.0, -1.5, -1.0)  # nepers, the harmonics being at 0; the window leaks −30 dB


def conditioning_of(f0: torch.Tensor) -> Conditioning:
    count, frames = f0.shape
    return Conditioning(
        f0=f0,
        voiced=torch.ones(count, frames),
        phase=torch.stack([torch.from_numpy(phase_track(curve.numpy())) for curve in f0]),
        loudness=torch.full((count, frames), -20.0),
        relative_loudness=torch.zeros(count, frames),
        content=torch.zeros(count, 1, frames),
        speaker=torch.ones(count, 1),
        start_frame=torch.arange(count) * 10_000,
    )


def envelopes_of(noise: float) -> torch.Tensor:
    return torch.tensor([0.0, noise])[None, None, :, None].repeat(len(PITCHES), FRAMES, 1, POINTS)


def render(conditioning: Conditioning, envelopes: torch.Tensor) -> torch.Tensor:
    generator = Generator(Config(), content_channels=1, num_speakers=1)
    assert generator.source_filter
    with torch.no_grad():
        return generator.source_filter(generator.excitation(conditioning), envelopes).sum(dim=1) * 0.1


STEADY = torch.tensor(PITCHES)[:, None].repeat(1, FRAMES)
VIBRATO = STEADY * 2 ** (80 / 1200 * torch.sin(2 * math.pi * 6 * torch.arange(FRAMES) / 100))


def test_white_noise_of_unit_power_reads_one():
    noise = torch.randn(4, FRAMES * HOP, generator=torch.Generator().manual_seed(0))
    power = power_between_harmonics(noise, torch.full((4, FRAMES), 200.0), HOP, POINTS)[:, 5:-5]
    assert float(power.mean()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("f0", [STEADY, VIBRATO], ids=["steady", "vibrato of 80 cents"])
@pytest.mark.parametrize("level", NOISE_LEVELS)
def test_the_level_of_the_noise_that_fits_best_is_the_true_one(f0, level):
    conditioning = conditioning_of(f0)
    audio = render(conditioning, envelopes_of(level))
    candidates = torch.arange(-20, 21) * 0.1
    losses = [
        float(aperiodicity_loss(envelopes_of(level + float(shift)), conditioning, audio, BAND, HOP))
        for shift in candidates
    ]
    best = float(candidates[torch.tensor(losses).argmin()])
    assert abs(best) < 0.25  # 2 dB
    assert min(losses) < 0.2
    assert losses[0] > min(losses) + 0.3
    assert losses[-1] > min(losses) + 0.3


def test_harmonics_and_noise_of_the_same_total_differ_here_and_not_in_the_envelope_loss():
    conditioning = conditioning_of(STEADY)
    audio = render(conditioning, envelopes_of(-3.5))
    swapped = envelopes_of(-3.5).flip(2)
    assert float(envelope_loss(swapped, conditioning, audio, BAND, HOP)) < 0.15
    assert float(aperiodicity_loss(swapped, conditioning, audio, BAND, HOP)) > 2.0


def test_unvoiced_frames_do_not_count():
    conditioning = replace(conditioning_of(STEADY), voiced=torch.zeros(len(PITCHES), FRAMES))
    envelopes = envelopes_of(-2.0).requires_grad_()
    loss = aperiodicity_loss(envelopes, conditioning, torch.randn(len(PITCHES), FRAMES * HOP), BAND, HOP)
    assert float(loss.detach()) == 0
    loss.backward()
    assert envelopes.grad is not None
    assert not envelopes.grad.any()
