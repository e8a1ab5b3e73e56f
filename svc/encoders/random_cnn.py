"""Random CNNs, whose weights are drawn from a seed: texture statistics without any training (Ulyanov and Lebedev 2016).

``random-cnn-2d`` is the network of mazzzystar's randomCNN-voice-transfer (2018), ``random-cnn-1d`` that of Ulyanov.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.encoders import register
from svc.encoders.spectrogram import SpectrogramEncoder


@register("random-cnn-2d")
class RandomCNN2d(SpectrogramEncoder):
    """Layer ``conv1`` (32 × 255 channels): one convolution 3 bins wide, weights N(0, 1), leaky ReLU 0.2.

    Args:
        kernel_frames: 1 as published; 3 makes the spectrogram smoother.
        padding: ``same``, or ``valid`` as published; it makes a difference from 3 frames on.
        seed: of the weights; the published ones have none.
    """

    window = fft = 512
    filters = 32
    channels: ClassVar = {"conv1": 32 * 255}

    def __init__(self, kernel_frames: int = 1, padding: str = "same", seed: int = 0) -> None:
        super().__init__()
        self.pad = kernel_frames // 2 if padding == "same" else 0
        self.options = f"frames={kernel_frames} padding={padding}"
        self.conv = nn.Conv2d(1, self.filters, (3, kernel_frames))
        _draw([self.conv], [1.0], seed)
        self.freeze()

    def layers(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """``conv1`` (B, 32, bins - 2, N)."""
        padded = functional.pad(spectrogram[:, None], (self.pad, self.pad))
        return {"conv1": functional.leaky_relu(self.conv(padded), 0.2)}


@register("random-cnn-1d")
class RandomCNN1d(SpectrogramEncoder):
    """Layers ``conv1`` …: convolutions over time that take every frequency bin as a channel, then ReLU.

    Args:
        filters: of every layer; (4096,) as published by Ulyanov, (2048, 2048) in the shallow net of Duong and Luc.
        bins: of the spectrogram.
        width: frames of a kernel.
        padding: ``same``, or ``valid`` as published.
        seed: of the weights, which are N(0, 2 √2² / ((C + F) · width)).
    """

    window = fft = 1024
    channels: ClassVar = {"conv1": 512}

    def __init__(
        self, filters: Sequence[int] = (512,), bins: int = 513, width: int = 11, padding: str = "same", seed: int = 0
    ) -> None:
        super().__init__()
        self.options = f"filters={list(filters)} width={width} padding={padding}"
        sizes = [bins, *filters]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, width, padding=padding) for a, b in zip(sizes, filters, strict=False)
        )
        stds = [2 / ((a + b) * width) ** 0.5 for a, b in zip(sizes, filters, strict=False)]
        _draw(self.convolutions, stds, seed)
        self.freeze()

    def layers(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """``conv1`` (B, filters, N) and so on."""
        outputs = {}
        for number, convolution in enumerate(self.convolutions, 1):
            spectrogram = torch.relu(convolution(spectrogram))
            outputs[f"conv{number}"] = spectrogram
        return outputs


def _draw(convolutions: Sequence[nn.Module] | nn.ModuleList, stds: Sequence[float], seed: int) -> None:
    """Normal weights of these standard deviations, biases 0."""
    source = torch.Generator().manual_seed(seed)
    for convolution, std in zip(convolutions, stds, strict=True):
        assert isinstance(convolution, nn.Conv1d | nn.Conv2d)
        assert convolution.bias is not None
        nn.init.normal_(convolution.weight, std=std, generator=source)
        nn.init.zeros_(convolution.bias)
