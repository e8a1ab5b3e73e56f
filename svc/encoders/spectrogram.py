"""Encoders on magnitude spectrograms: the frozen networks of audio style transfer, which optimises a spectrogram."""

from abc import abstractmethod
from pathlib import Path
from types import EllipsisType
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import power_spectrogram
from svc.encoders.base import Encoder
from svc.encoders.weights import Download, load_published

EPS = 1e-8  # power: keeps the gradient of a magnitude finite at silence


class SpectrogramEncoder(Encoder):
    """Encoder with a front end of its own: log(1 + |STFT|) of Hann windows, not scaled, every 10 ms.

    Attributes:
        window: samples of the Hann window.
        fft: samples of the transform; a shorter window is padded with zeros at its end.
        stride: frames of its deepest layer's step; the last frame is repeated up to a multiple of it.
    """

    window: ClassVar[int]
    fft: ClassVar[int]
    stride: ClassVar[int] = 1

    @abstractmethod
    def layers(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """Named layers (B, C, bins, M) or (B, C, M) of log(1 + |STFT|) (B, fft // 2 + 1, N), M ≤ N behind a pooling."""

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """Named layers (B, C · bins, N) of audio (B, T); pooled frames are repeated."""
        hop = self.sample_rate // 100
        power = power_spectrogram(audio, self.window, hop, self.fft) * (self.window / 4) ** 2
        frames = power.shape[1]
        spectrogram = torch.log1p((power + EPS).sqrt()).transpose(1, 2)
        if frames % self.stride:
            spectrogram = functional.pad(spectrogram, (0, self.stride - frames % self.stride), mode="replicate")
        layers = {name: layer.flatten(1, -2) for name, layer in self.layers(spectrogram).items()}
        return {
            name: layer.repeat_interleave(spectrogram.shape[-1] // layer.shape[-1], dim=-1)[..., :frames]
            for name, layer in layers.items()
        }


class AudioSetEncoder(SpectrogramEncoder):
    """The first convolutions of a published AudioSet classifier; the rest of its file is cut off when it is converted.

    Attributes:
        download: the published file, which the user puts into the cache folder.
    """

    download: ClassVar[Download]

    def __init__(self, file: Path | EllipsisType | None = ...) -> None:
        """Weights of the publisher by default, of a safetensors file, or random ones if that is None.

        Raises:
            WeightsError: the weights are not there, damaged, or of another network.
        """
        super().__init__()
        self.register_buffer("bank", torch.from_numpy(self.mel_bank()).float(), persistent=False)
        self.bank: Tensor
        self.network = self.make_network()
        if file is not None:
            load_published(self.network, self.download, None if isinstance(file, EllipsisType) else file)
        self.freeze()

    @abstractmethod
    def mel_bank(self) -> NDArray[np.floating]:
        """Mel filter bank (bands, bins)."""

    @abstractmethod
    def make_network(self) -> nn.Module:
        """The convolutions, named as in the published file."""


def magnitude(spectrogram: Tensor) -> Tensor:
    """|STFT| of log(1 + |STFT|), which an optimiser may have moved below 0."""
    return torch.expm1(spectrogram.clamp_min(0))
