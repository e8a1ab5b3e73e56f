"""Whose voice it is, at known angles: centroids, mixes of them, and that every crop counts by itself."""

import importlib.util
import math

import pytest
import torch
from torch.nn import functional

from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders.ge2e import GE2ESpeakerEncoder
from svc.losses.perceptual import INPUT_RMS, LossInputs
from svc.losses.speaker import SpeakerLoss

RATE = 24_000
ONE, OTHER = [1.0, 0.0], [0.0, 1.0]


class Compass(torch.nn.Module):
    """Hears a direction in the first two samples."""

    sample_rate = RATE

    def forward(self, audio):
        self.heard = audio
        return {"embedding": functional.normalize(audio[:, :2], dim=-1)[..., None]}


def at(*degrees: float, length: float = 1.0) -> torch.Tensor:
    """Recordings (B, 100) of which Compass says this."""
    audio = torch.zeros(len(degrees), 100)
    turns = torch.deg2rad(torch.tensor(degrees))
    audio[:, 0], audio[:, 1] = length * turns.cos(), length * turns.sin()
    return audio


def knowing(*enrolment) -> SpeakerLoss:
    return SpeakerLoss(Compass(), enrolment, 0.4, RATE)


def stretch(fake: torch.Tensor, singer: list[list[float]], sources=()) -> LossInputs:
    real = torch.zeros(len(fake) - len(sources), fake.shape[1])
    return LossInputs(fake, real, list(sources), torch.tensor(singer), torch.ones(len(real), 1))


def apart(degrees: float) -> float:
    return 1 - math.cos(math.radians(degrees))


AXES = (at(0), torch.ones(1)), (at(90), torch.ones(1))


def test_centroids_are_mean_directions_by_what_is_sung():
    even, uneven = (at(0, 60), torch.tensor([0.5, 0.5])), (at(0, 90), torch.tensor([1.0, 0.0]))
    loud = at(0, length=9.0), torch.ones(1)
    faint = (at(10, 20), torch.tensor([1e-6, 1e-6]))  # nobody sings in any
    found = knowing(even, uneven, loud, faint).centroids
    wanted = torch.deg2rad(torch.tensor([30.0, 0.0, 0.0, 15.0]))
    torch.testing.assert_close(found, torch.stack([wanted.cos(), wanted.sin()], dim=1))


@pytest.mark.parametrize(("degrees", "singer", "wanted"), [(0, ONE, 0), (0, OTHER, 1), (60, ONE, 0.5), (180, ONE, 2)])
def test_a_rendition_is_held_against_its_singer(degrees, singer, wanted):
    own, theirs = knowing(*AXES)(stretch(at(degrees), [singer]))
    assert float(own) == pytest.approx(wanted, abs=1e-6)
    assert theirs is None


@pytest.mark.parametrize(("share", "degrees"), [(0.5, 45.0), (0.25, math.degrees(math.atan(3)))])
def test_a_mix_is_held_against_the_mix_of_centroids(share, degrees):
    """As far along the way between them as it is mixed, and of unit length there."""
    mixed = [share, 1 - share]
    for heard in (degrees, 0.0, 90.0):
        own, theirs = knowing(*AXES)(stretch(at(10, heard), [ONE, mixed], [0]))
        assert float(own) == pytest.approx(apart(10), abs=1e-6)
        assert float(theirs) == pytest.approx(apart(heard - degrees), abs=1e-6)


def test_parts_come_to_the_whole():
    """Whatever the other crops are."""
    listener = knowing(*AXES)
    singers = [ONE, OTHER, ONE, OTHER]
    whole = listener(stretch(at(5, 70, 40, 20, 80, 30), [*singers, OTHER, ONE], [1, 3]))
    first = listener(stretch(at(5, 70, 80), [*singers[:2], OTHER], [1]))
    second = listener(stretch(at(40, 20, 30), [*singers[2:], ONE], [1]))
    for all_of_it, one, other in zip(whole, first, second, strict=True):
        torch.testing.assert_close(all_of_it, (one + other) / 2)
    assert float(whole[1]) == pytest.approx((apart(10) + apart(30)) / 2, abs=1e-6)


def test_it_hears_at_its_level_and_at_its_rate():
    listener = SpeakerLoss(Compass(), AXES, 0.4, 2 * RATE)
    listener.embed(torch.ones(1, 4_800))
    assert listener.encoder.heard.shape == (1, 2_400)
    assert float(listener.encoder.heard[0, 1_000:1_400].mean()) == pytest.approx(INPUT_RMS, rel=1e-2)


@pytest.fixture(scope="module")
def listener() -> SpeakerLoss:
    """Who knows two synthetic singers by two seconds."""
    if not importlib.util.find_spec("resemblyzer"):
        pytest.skip("needs the eval extra")
    known = [(song(number), torch.ones(2)) for number in range(2)]
    return SpeakerLoss(GE2ESpeakerEncoder(), known, 1.0, RATE)


def song(singer: int, seed: int = 1) -> torch.Tensor:
    """Two seconds (2, T) of a singer, at unit power."""
    audio = torch.from_numpy(render(SINGERS[singer], phrase(seed)).samples[12_000:60_000]).reshape(2, RATE)
    return audio / audio.square().mean(dim=-1, keepdim=True).sqrt()


def test_singers_are_told_apart_and_the_gradient_leads_to_who_is_asked_for(listener):
    audio = song(0, seed=2).requires_grad_()
    right, _ = listener(stretch(audio.detach(), [ONE, ONE]))
    wrong, _ = listener(stretch(audio, [OTHER, OTHER]))
    assert float(right) < 0.7 * wrong.item()
    (gradient,) = torch.autograd.grad(wrong, audio)
    nearer, _ = listener(stretch(audio.detach() - 0.01 * gradient / gradient.abs().max(), [OTHER, OTHER]))
    assert float(nearer) < wrong.item()
    assert all(weight.grad is None for weight in listener.encoder.parameters())
    assert not listener.centroids.requires_grad
