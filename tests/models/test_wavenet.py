"""The WaveNet: its layers, how far it looks, and that it has no sound of its own."""

import pytest
import torch
from torch.nn import functional

from svc.models.wavenet import COND_CHANNELS, GatedLayer, WaveNet, interpolate


@pytest.mark.parametrize(("layers", "cycle", "kernel"), [(1, 1, 3), (6, 3, 5)])
def test_wavenet_margin_is_exact(layers, cycle, kernel):
    torch.manual_seed(0)
    sizes = {"inputs": 2, "outputs": 1, "channels": 3, "hidden": 4, "layers": layers, "dilation_cycle": cycle}
    net = WaveNet(**sizes, kernel_size=kernel).double()
    signal = torch.randn(1, 2, 400, dtype=torch.float64, requires_grad=True)
    net(signal, torch.randn(1, 4, 4, dtype=torch.float64))[0, 0, 200].backward()
    touched = signal.grad.abs().sum((0, 1)).nonzero()[:, 0]
    assert [200 - int(touched[0]), int(touched[-1]) - 200] == [net.margin] * 2


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 4), (1, 1)])
def test_a_layer_is_a_dilated_convolution_with_a_gate(kernel, dilation):
    torch.manual_seed(0)
    layer = GatedLayer(6, kernel, dilation).double()
    x, cond = torch.randn(2, 50, 6).double(), torch.randn(2, 50, COND_CHANNELS).double()
    weight = layer.dilated_weight.unflatten(0, (kernel, 6)).permute(2, 1, 0)
    mixed = functional.conv1d(x.mT, weight, dilation=dilation, padding=dilation * (kernel - 1) // 2)
    filtered, gate = mixed.chunk(2, dim=1)
    opened = torch.tanh(filtered) * 2 * torch.sigmoid(2 * (gate + (cond @ layer.cond_weight).mT))
    residual, skip = functional.conv1d(opened, layer.res_skip.weight[..., None]).chunk(2, dim=1)
    torch.testing.assert_close(layer(x, cond), (residual.mT, skip.mT))


def test_interpolation_runs_straight_between_centres():
    steps = interpolate(torch.tensor([[[0.0, 1.0, 3.0]]]), 4)[0, 0]
    wanted = [0, 0, 0.125, 0.375, 0.625, 0.875, 1.25, 1.75, 2.25, 2.75, 3, 3]
    torch.testing.assert_close(steps, torch.tensor(wanted))


def test_wavenet_keeps_silence():
    torch.manual_seed(0)
    net = WaveNet(inputs=8, outputs=4, channels=6, hidden=5, layers=4, dilation_cycle=4, kernel_size=3)
    assert net(torch.zeros(2, 8, 300), torch.randn(2, 5, 5)).abs().max() == 0
