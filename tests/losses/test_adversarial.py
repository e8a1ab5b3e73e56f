"""The adversarial losses, by hand."""

import pytest
import torch
from torch import nn

from svc.losses.adversarial import (
    discriminator_loss,
    feature_matching_loss,
    frozen,
    generator_loss,
)


def scores(*values: float):
    """Output of a view without activations."""
    return torch.tensor([[values]], dtype=torch.float32), []


def layers(*activations: list[float]):
    return torch.zeros(1, 1, 1), [torch.tensor([[values]], dtype=torch.float32) for values in activations]


@pytest.mark.parametrize(
    ("fake", "real", "expected"),
    [
        ([scores(0, 0)], [scores(1, 1)], 0.0),
        ([scores(1, 1)], [scores(0, 0)], 2.0),
        ([scores(0.5, 0.5)], [scores(0.5, 0.5)], 0.5),
        ([scores(0, 2)], [scores(1, -1)], 4.0),
        (
            [scores(0), scores(2, 0, 0, 0)],
            [scores(1), scores(1, 1, 1, 3)],
            1.0,
        ),  # views have equal weights: (0 + 2) / 2
    ],
)
def test_discriminator_loss(fake, real, expected):
    assert float(discriminator_loss(fake=fake, real=real)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fake", "expected"),
    [([scores(1, 1)], 0), ([scores(0, 0)], 1), ([scores(0, 3)], 2.5), ([scores(1), scores(0, 0, 0)], 0.5)],
)
def test_generator_loss(fake, expected):
    assert float(generator_loss(fake=fake)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fake", "real", "expected"),
    [
        ([layers([1, -2], [3])], [layers([1, -2], [3])], 0.0),
        ([layers([0, 0])], [layers([1, -3])], 1.0),
        ([layers([2, 4])], [layers([1, 3])], 0.5),  # mean |Δ| 1 over mean |real| 2
        ([layers([2, 4], [100])], [layers([1, 3], [200])], 0.5),  # no layer outweighs another
        ([layers([2, 4]), layers([0], [7])], [layers([1, 3]), layers([5], [7])], 0.5),  # (0.5 + 1 + 0) / 3
        ([layers([1e-5])], [layers([0])], 1.0),  # the floor
    ],
)
def test_feature_matching_loss(fake, real, expected):
    assert float(feature_matching_loss(fake=fake, real=real)) == pytest.approx(expected)


def test_frozen_stops_weights_not_the_input():
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    audio = torch.randn(4, 3, requires_grad=True)
    with frozen(network) as discriminator:
        discriminator(audio).sum().backward()
    assert all(p.grad is None for p in network.parameters())
    torch.testing.assert_close(audio.grad, (network[1].weight @ network[0].weight).expand(4, 3))
    assert all(p.requires_grad for p in network.parameters())
