"""The non-causal WaveNet (van den Oord et al. 2016; non-causal as in 2008.02830), as a few large matrix products.

No bias is ever added to the signal: in a sub-band a constant is a tone at the band's edge, and silence must come
out as silence. What the conditioning says opens and closes the gates.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

STEERING = 32  # channels of what the conditioning says, at the rate of the signal


class WaveNet(nn.Module):
    """Gated dilated convolutions over (B, in, T), steered by conditioning (B, N, H).

    Each dilated convolution is one product of (B, T, taps · C + 32) with a matrix, which processors do several times
    faster than convolutions in bf16; under autocast the products run in it and the residual stream stays in fp32.

    Args:
        inputs: channels of the signal.
        outputs: channels of the result.
        channels: residual and skip channels.
        hidden: H, channels of the conditioning.
        layers: how many.
        cycle: the dilation doubles from 1 and starts again after so many layers.
        kernel: taps, odd.
    """

    def __init__(self, *, inputs: int, outputs: int, channels: int, hidden: int, layers: int, cycle: int, kernel: int):
        super().__init__()
        self.entry = nn.Linear(inputs, channels, bias=False)
        self.steering = nn.Linear(hidden, STEERING)
        self.layers = nn.ModuleList(GatedLayer(channels, kernel, 2 ** (i % cycle)) for i in range(layers))
        self.exit = nn.Linear(channels, outputs, bias=False)

    @property
    def margin(self) -> int:
        """Samples on either side that one sample depends on."""
        return sum(layer.reach for layer in self._stack())

    def forward(self, signal: Tensor, hidden: Tensor) -> Tensor:
        """(B, out, T) from a signal (B, in, T) and conditioning (B, N, H); T is a multiple of N."""
        hop = signal.shape[-1] // hidden.shape[1]
        steering = interpolate(self.steering(hidden).mT, hop).mT
        flow = self.entry(signal.transpose(1, 2)).to(signal.dtype)
        skipped = torch.zeros_like(flow)
        for layer in self._stack():
            onward, skip = layer(flow, steering)
            flow = (flow + onward) * 0.5**0.5
            skipped = skipped + skip
        result: Tensor = self.exit(skipped * len(self.layers) ** -0.5)
        return result.transpose(1, 2)

    def _stack(self) -> list["GatedLayer"]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]


class GatedLayer(nn.Module):
    """tanh(filter) · (1 + tanh(gate)), a sigmoid gate by another name, and what goes onward and to the skip path."""

    def __init__(self, channels: int, kernel: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.reach = dilation * (kernel - 1) // 2
        self.taps = nn.Parameter(torch.empty(kernel * channels, 2 * channels))
        self.steering = nn.Parameter(torch.empty(STEERING, channels))
        self.mixer = nn.Linear(channels, 2 * channels, bias=False)
        nn.init.normal_(self.taps, std=(3 * kernel * channels) ** -0.5)
        nn.init.normal_(self.steering, std=(3 * STEERING) ** -0.5)

    def forward(self, flow: Tensor, steering: Tensor) -> tuple[Tensor, Tensor]:
        """Two of (B, T, C) from (B, T, C) and steering (B, T, 32)."""
        if torch.is_autocast_enabled(flow.device.type):
            half = torch.get_autocast_dtype(flow.device.type)
            flow, steering = flow.to(half), steering.to(half)
        opened = functional.pad(self.steering, (flow.shape[-1], 0))  # of the filter half nothing
        inputs = [*neighbours(flow, self.dilation, self.reach), steering]
        mixed = torch.cat(inputs, dim=-1) @ torch.cat([self.taps, opened])
        filtered, gate = torch.tanh(mixed).chunk(2, dim=-1)
        onward, skip = self.mixer(torch.addcmul(filtered, filtered, gate)).chunk(2, dim=-1)
        return onward, skip


def neighbours(flow: Tensor, dilation: int, reach: int) -> list[Tensor]:
    """What each tap of a dilated convolution sees of (B, T, C): as many views as it has taps, zeros around."""
    padded = functional.pad(flow, (0, 0, reach, reach))
    return [padded[:, start : start + flow.shape[1]] for start in range(0, 2 * reach + 1, dilation)]


def interpolate(frames: Tensor, hop: int) -> Tensor:
    """Values (B, C, N) at the frame centres, drawn straight between them: (B, C, N·hop)."""
    return functional.interpolate(frames, scale_factor=float(hop), mode="linear", align_corners=False)
