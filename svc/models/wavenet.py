"""The non-causal WaveNet (van den Oord et al. 2016; non-causal as in 2008.02830).

No bias is ever added to the signal: in a sub-band a constant is a tone at the band's edge, and silence must come
out as silence. What the conditioning says is multiplied onto the filter half of each gate and added to the other.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class WaveNet(nn.Module):
    """Gated dilated convolutions over (B, in, T), steered by conditioning (B, H, N).

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
        self.channels = channels
        self.dilations = [2 ** (i % cycle) for i in range(layers)]
        self.kernel = kernel
        self.entry = nn.Conv1d(inputs, channels, 1, bias=False)
        self.steering = nn.Conv1d(hidden, layers * 2 * channels, 1)
        self.gates = nn.ModuleList(
            nn.Conv1d(channels, 2 * channels, kernel, dilation=d, padding=d * (kernel - 1) // 2, bias=False)
            for d in self.dilations
        )
        self.mixers = nn.ModuleList(nn.Conv1d(channels, 2 * channels, 1, bias=False) for _ in self.dilations)
        self.exit = nn.Conv1d(channels, outputs, 1, bias=False)
        nn.init.normal_(self.steering.weight, std=0.1 * hidden**-0.5)

    @property
    def margin(self) -> int:
        """Samples on either side that one sample depends on."""
        return sum(self.dilations) * (self.kernel - 1) // 2

    def forward(self, signal: Tensor, hidden: Tensor) -> Tensor:
        """(B, out, T) from a signal (B, in, T) and conditioning (B, H, N); T is a multiple of N."""
        hop = signal.shape[-1] // hidden.shape[-1]
        steering = self.steering(hidden).chunk(len(self.dilations), dim=1)
        flow = self.entry(signal)
        skipped = torch.zeros_like(flow)
        for steer, gate, mixer in zip(steering, self.gates, self.mixers, strict=True):
            filtered, gating = gate(flow).chunk(2, dim=1)
            scale, shift = interpolate(steer, hop).chunk(2, dim=1)
            opened = torch.tanh(filtered * (1 + scale)) * torch.sigmoid(gating + shift)
            onward, skip = mixer(opened).chunk(2, dim=1)
            flow = (flow + onward) * 0.5**0.5
            skipped = skipped + skip
        result: Tensor = self.exit(skipped * len(self.dilations) ** -0.5)
        return result


def interpolate(frames: Tensor, hop: int) -> Tensor:
    """Values (B, C, N) at the frame centres, drawn straight between them: (B, C, N·hop)."""
    return functional.interpolate(frames, scale_factor=float(hop), mode="linear", align_corners=False)
