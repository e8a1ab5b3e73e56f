"""Gram distance: the kernel identity is the direct computation in value and gradient; duration does not count."""

import pytest
import torch

from svc.style.gram import GramTarget


def features(channels: int, frames: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(channels, frames, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_kernel_identity_is_the_direct_distance(dtype):
    x, y = features(64, 20, 1, dtype).requires_grad_(), features(64, 30, 2, dtype)
    values, gradients = [], []
    for kernel in (True, False):
        values.append(GramTarget(y, 30, kernel).distance(x, 20))
        gradients.append(torch.autograd.grad(values[-1], x)[0])
    by_hand = (x @ x.T / 20 - y @ y.T / 30).square().sum().double()
    tolerance = 1e-6 if dtype == torch.float64 else 1e-5
    for value in values:
        assert value.item() == pytest.approx(by_hand.item(), rel=tolerance)
    assert (gradients[0] - gradients[1]).norm() < tolerance * gradients[1].norm()


def test_the_cheaper_form_is_chosen():
    assert GramTarget(features(8, 3), 1).kernel
    assert not GramTarget(features(3, 8), 1).kernel


def test_a_gram_matrix_by_its_frames_does_not_measure_duration():
    y = features(5, 7)
    twice = torch.cat([y, y], dim=1)
    assert GramTarget(y, 7).distance(twice, 14).item() == pytest.approx(0, abs=1e-20)
    assert GramTarget(y, 1).distance(twice, 1).item() == pytest.approx((y @ y.T).square().sum().item())
