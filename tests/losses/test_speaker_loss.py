"""Speaker loss at known angles: centroids, mixes of them, and that every segment counts by itself."""

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
    """A speaker encoder whose embedding is the direction of the first two samples."""

    sample_rate = RATE

    def forward(self, audio):
        self.input = audio
        return {"embedding": functional.normalize(audio[:, :2], dim=-1)[..., None]}


def recordings(*degrees: float, length: float = 1.0) -> torch.Tensor:
    """Recordings (B, 100) whose embeddings have these angles."""
    audio = torch.zeros(len(degrees), 100)
    turns = torch.deg2rad(torch.tensor(degrees))
    audio[:, 0], audio[:, 1] = length * turns.cos(), length * turns.sin()
    return audio


def speaker_loss(*enrolment) -> SpeakerLoss:
    return SpeakerLoss(Compass(), enrolment, 0.4, RATE)


def inputs(fake: torch.Tensor, speakers: list[list[float]], sources=()) -> LossInputs:
    real = torch.zeros(len(fake) - len(sources), fake.shape[1])
    return LossInputs(fake, real, list(sources), torch.tensor(speakers), torch.ones(len(real), 1))


def distance(degrees: float) -> float:
    return 1 - math.cos(math.radians(degrees))


AXES = (recordings(0), torch.ones(1)), (recordings(90), torch.ones(1))


def test_centroids_are_mean_directions_weighted_by_voiced_share():
    even, uneven = (recordings(0, 60), torch.tensor([0.5, 0.5])), (recordings(0, 90), torch.tensor([1.0, 0.0]))
    loud = recordings(0, length=9.0), torch.ones(1)
    faint = (recordings(10, 20), torch.tensor([1e-6, 1e-6]))  # hardly any voiced frame
    centroids = speaker_loss(even, uneven, loud, faint).centroids
    wanted = torch.deg2rad(torch.tensor([30.0, 0.0, 0.0, 15.0]))
    torch.testing.assert_close(centroids, torch.stack([wanted.cos(), wanted.sin()], dim=1))


@pytest.mark.parametrize(
    ("degrees", "speaker", "expected"), [(0, ONE, 0), (0, OTHER, 1), (60, ONE, 0.5), (180, ONE, 2)]
)
def test_a_reconstruction_is_compared_with_its_speaker(degrees, speaker, expected):
    reconstruction, conversion = speaker_loss(*AXES)(inputs(recordings(degrees), [speaker]))
    assert float(reconstruction) == pytest.approx(expected, abs=1e-6)
    assert conversion is None


@pytest.mark.parametrize(("share", "degrees"), [(0.5, 45.0), (0.25, math.degrees(math.atan(3)))])
def test_a_mix_is_compared_with_the_mix_of_centroids(share, degrees):
    """As far along the way between them as it is mixed, and of unit length there."""
    mixed = [share, 1 - share]
    for angle in (degrees, 0.0, 90.0):
        reconstruction, conversion = speaker_loss(*AXES)(inputs(recordings(10, angle), [ONE, mixed], [0]))
        assert float(reconstruction) == pytest.approx(distance(10), abs=1e-6)
        assert float(conversion) == pytest.approx(distance(angle - degrees), abs=1e-6)


def test_the_loss_is_the_mean_of_its_micro_batches():
    """Whatever the other segments are."""
    loss = speaker_loss(*AXES)
    speakers = [ONE, OTHER, ONE, OTHER]
    whole = loss(inputs(recordings(5, 70, 40, 20, 80, 30), [*speakers, OTHER, ONE], [1, 3]))
    first = loss(inputs(recordings(5, 70, 80), [*speakers[:2], OTHER], [1]))
    second = loss(inputs(recordings(40, 20, 30), [*speakers[2:], ONE], [1]))
    for all_of_it, one, other in zip(whole, first, second, strict=True):
        torch.testing.assert_close(all_of_it, (one + other) / 2)
    assert float(whole[1]) == pytest.approx((distance(10) + distance(30)) / 2, abs=1e-6)


def test_the_encoder_gets_its_level_and_its_rate():
    loss = SpeakerLoss(Compass(), AXES, 0.4, 2 * RATE)
    loss.embed(torch.ones(1, 4_800))
    assert loss.encoder.input.shape == (1, 2_400)
    assert float(loss.encoder.input[0, 1_000:1_400].mean()) == pytest.approx(INPUT_RMS, rel=1e-2)


@pytest.fixture(scope="module")
def two_singers() -> SpeakerLoss:
    """Of two synthetic singers, by two seconds of each."""
    if not importlib.util.find_spec("resemblyzer"):
        pytest.skip("needs the eval extra")
    enrolment = [(song(number), torch.ones(2)) for number in range(2)]
    return SpeakerLoss(GE2ESpeakerEncoder(), enrolment, 1.0, RATE)


def song(singer: int, seed: int = 1) -> torch.Tensor:
    """Two seconds (2, T) of a singer, at unit power."""
    audio = torch.from_numpy(render(SINGERS[singer], phrase(seed)).samples[12_000:60_000]).reshape(2, RATE)
    return audio / audio.square().mean(dim=-1, keepdim=True).sqrt()


def test_the_gradient_leads_to_the_target_speaker(two_singers):
    audio = song(0, seed=2).requires_grad_()
    right, _ = two_singers(inputs(audio.detach(), [ONE, ONE]))
    wrong, _ = two_singers(inputs(audio, [OTHER, OTHER]))
    assert float(right) < 0.7 * wrong.item()
    (gradient,) = torch.autograd.grad(wrong, audio)
    nearer, _ = two_singers(inputs(audio.detach() - 0.01 * gradient / gradient.abs().max(), [OTHER, OTHER]))
    assert float(nearer) < wrong.item()
    assert all(weight.grad is None for weight in two_singers.encoder.parameters())
    assert not two_singers.centroids.requires_grad
