"""Non-causal WaveNet (van den Oord et al. 2016; non-causal as in 2008.02830): gated dilated convolutions.

The convolutions are computed as matrix products. No bias is added to the signal, so that on a waveform silence stays
silence. The conditioning acts on the gates only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

COND_CHANNELS = 32  # of the conditioning at the rate of the signal


class WaveNet(nn.Module):
    """Non-causal WaveNet: gated dilated convolutions of a signal (B, in, T), conditioned on a hidden track (B, N, H).

    Each dilated convolution is one product of (B, T, taps · C + 32) with a matrix. Under autocast the products run in
    bf16 and the residual stream stays in fp32.

    Args:
        inputs: channels of the signal.
        outputs: channels of the result.
        channels: residual and skip channels.
        hidden: H, channels of the conditioning.
        layers: number of layers.
        dilation_cycle: the dilation doubles from 1 and restarts after this many layers.
        kernel_size: taps, odd.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        channels: int,
        hidden: int,
        layers: int,
        dilation_cycle: int,
        kernel_size: int,
    ):
        super().__init__()
        self.input = nn.Linear(inputs, channels, bias=False)
        self.cond = nn.Linear(hidden, COND_CHANNELS)
        self.layers = nn.ModuleList(GatedLayer(channels, kernel_size, 2 ** (i % dilation_cycle)) for i in range(layers))
        self.output = nn.Linear(channels, outputs, bias=False)

    @property
    def margin(self) -> int:
        """Samples on either side that one sample depends on."""
        return sum(layer.padding for layer in self._stack())

    def forward(self, signal: Tensor, hidden: Tensor) -> Tensor:
        """Signal (B, out, T) from a signal (B, in, T) and a hidden track (B, N, H); T is a multiple of N."""
        hop = signal.shape[-1] // hidden.shape[1]
        cond = interpolate(self.cond(hidden).mT, hop).mT
        x = self.input(signal.transpose(1, 2)).to(signal.dtype)
        skip_sum = torch.zeros_like(x)
        for layer in self._stack():
            residual, skip = layer(x, cond)
            x = (x + residual) * 0.5**0.5
            skip_sum = skip_sum + skip
        result: Tensor = self.output(skip_sum * len(self.layers) ** -0.5)
        return result.transpose(1, 2)

    def _stack(self) -> list["GatedLayer"]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]


class GatedLayer(nn.Module):
    """Gated dilated convolution with residual and skip outputs: tanh(filter) · (1 + tanh(gate)).

    1 + tanh(gate) is twice a sigmoid gate of twice the argument.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.padding = dilation * (kernel_size - 1) // 2
        self.dilated_weight = nn.Parameter(torch.empty(kernel_size * channels, 2 * channels))
        self.cond_weight = nn.Parameter(torch.empty(COND_CHANNELS, channels))
        self.res_skip = nn.Linear(channels, 2 * channels, bias=False)
        nn.init.normal_(self.dilated_weight, std=(3 * kernel_size * channels) ** -0.5)
        nn.init.normal_(self.cond_weight, std=(3 * COND_CHANNELS) ** -0.5)

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Residual and skip (B, T, C) each, from x (B, T, C) and conditioning (B, T, 32)."""
        if torch.is_autocast_enabled(x.device.type):
            half = torch.get_autocast_dtype(x.device.type)
            x, cond = x.to(half), cond.to(half)
        gate_only = functional.pad(self.cond_weight, (x.shape[-1], 0))  # no conditioning of the filter half
        inputs = [*dilated_taps(x, self.dilation, self.padding), cond]
        mixed = torch.cat(inputs, dim=-1) @ torch.cat([self.dilated_weight, gate_only])
        filtered, gate = torch.tanh(mixed).chunk(2, dim=-1)
        residual, skip = self.res_skip(torch.addcmul(filtered, filtered, gate)).chunk(2, dim=-1)
        return residual, skip


def dilated_taps(x: Tensor, dilation: int, padding: int) -> list[Tensor]:
    """Inputs of a dilated convolution of x (B, T, C) with zero padding: one view (B, T, C) for each tap."""
    padded = functional.pad(x, (0, 0, padding, padding))
    return [padded[:, start : start + x.shape[1]] for start in range(0, 2 * padding + 1, dilation)]


def interpolate(frames: Tensor, hop: int) -> Tensor:
    """Linear interpolation of values (B, C, N) at the frame centres to the sample rate: (B, C, N·hop)."""
    return functional.interpolate(frames, scale_factor=float(hop), mode="linear", align_corners=False)
