"""Phone and speaker loss of envelopes: no loss at the own, and a vowel farther away than a vocal tract."""

from dataclasses import replace

import pytest
import torch

from svc.config import Config
from svc.features.conditioning import Conditioning
from svc.losses.envelope import spectral_envelope, total_envelope
from svc.losses.envelope_phones import EnvelopePhoneLoss
from svc.losses.envelope_speaker import EnvelopeSpeakerLoss
from svc.models.generator import Generator

FRAMES, POINTS, HOP = 60, 221, 441
FREQUENCY = torch.linspace(0, HOP * 50, POINTS)
VOWELS = {"a": (800.0, 1200.0, 2600.0), "i": (300.0, 2300.0, 3000.0)}


def envelope(vowel: str, vocal_tract: float = 1.0) -> torch.Tensor:
    """Log envelopes (1, N, 2, P) of harmonics with three formants, and of faint noise."""
    distance = FREQUENCY - vocal_tract * torch.tensor(VOWELS[vowel])[:, None]
    formants = (3 * torch.exp(-((distance / 200) ** 2))).sum(dim=0) - 3 - FREQUENCY / 4_000
    return torch.stack([formants, torch.full((POINTS,), -8.0)]).repeat(1, FRAMES, 1, 1)


@pytest.fixture(scope="module")
def conditioning() -> Conditioning:
    return Conditioning(
        f0=torch.full((1, FRAMES), 120.0),
        voiced=torch.ones(1, FRAMES),
        phase=torch.arange(FRAMES)[None] * 1.2 % 1,
        loudness=torch.full((1, FRAMES), -20.0),
        relative_loudness=torch.zeros(1, FRAMES),
        content=torch.zeros(1, 1, FRAMES),
        speaker=torch.ones(1, 1),
        start_frame=torch.zeros(1, dtype=torch.long),
    )


@pytest.fixture(scope="module")
def source(conditioning) -> torch.Tensor:
    """An [a], (1, T)."""
    torch.manual_seed(0)
    generator = Generator(Config(), content_channels=1, num_speakers=1)
    assert generator.source_filter
    with torch.no_grad():
        shaped: torch.Tensor = generator.source_filter(generator.excitation(conditioning), envelope("a"))
    return 0.1 * shaped.sum(dim=1)


@pytest.fixture(scope="module")
def phones() -> EnvelopePhoneLoss:
    return EnvelopePhoneLoss(POINTS, 44_100)


def test_the_sources_own_envelope_has_no_loss_at_any_level(phones, conditioning, source):
    own = spectral_envelope(source, conditioning.f0, HOP, POINTS) + torch.log(torch.tensor(10.0))
    own = torch.stack([own, torch.full_like(own, -20.0)], dim=2)
    assert float(phones(own, conditioning, source)) == pytest.approx(0, abs=1e-4)
    quiet = replace(conditioning, loudness=conditioning.loudness - 30)
    assert float(phones(own, quiet, 10**-1.5 * source)) == pytest.approx(0, abs=1e-2)


def test_another_vowel_is_farther_than_another_vocal_tract(phones, conditioning, source):
    same, other_tract, other_vowel = (
        float(phones(converted, conditioning, source))
        for converted in (envelope("a"), envelope("a", 1.1), envelope("i"))
    )
    assert same < other_tract < 0.5 * other_vowel


def test_the_gradient_reaches_the_envelopes(phones, conditioning, source):
    converted = envelope("i").requires_grad_()
    phones(converted, conditioning, source).backward()
    assert converted.grad is not None
    assert torch.isfinite(converted.grad).all()
    assert converted.grad.abs().max() > 0
    assert all(weight.grad is None for weight in phones.parameters())


def test_the_speaker_of_converted_envelopes_is_the_target(conditioning):
    """Two speakers, who differ by their vocal tracts; a mix is between both."""
    tracts = [0.8, 1.25]
    voices = [torch.cat([total_envelope(envelope(v, tract), conditioning) for v in VOWELS]) for tract in tracts]
    loss = EnvelopeSpeakerLoss([(voice, torch.ones(2)) for voice in voices], POINTS, 44_100)
    distances = {
        (tract, share): float(
            loss(
                torch.cat([envelope(vowel, tract) for vowel in VOWELS]),
                replace(both(conditioning), speaker=torch.tensor([[share, 1 - share]]).repeat(2, 1)),
                torch.empty(2, 0),
            )
        )
        for tract in tracts
        for share in (0.0, 0.5, 1.0)
    }
    assert distances[0.8, 1.0] < distances[0.8, 0.5] < distances[0.8, 0.0]
    assert distances[1.25, 0.0] < distances[1.25, 0.5] < distances[1.25, 1.0]
    assert distances[0.8, 0.0] > 2 * distances[0.8, 1.0]


def both(conditioning: Conditioning) -> Conditioning:
    return Conditioning.stack([conditioning, conditioning])
