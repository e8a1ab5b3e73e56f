"""CNN14 (PANNs, Kong et al. 1912.10211), the first three blocks of the AudioSet classifier."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from svc.encoders import register
from svc.encoders.spectrogram import AudioSetEncoder, magnitude
from svc.encoders.vggish import FALLBACK
from svc.encoders.weights import Download

FILTERS = (64, 128, 256)  # of six blocks, which end with 2048: 1.1 M of 80.8 M weights
FLOOR = 1e-10  # power: −100 dB
RECORD = "https://zenodo.org/records/3987831/files"


class Block(nn.Module):
    """Two convolutions 3 × 3, each with batch norm and ReLU, then the mean of 2 × 2: half the bands and frames."""

    def __init__(self, size: int, filters: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(size, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, N, bands) to (B, filters, N // 2, bands // 2)."""
        hidden = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return functional.avg_pool2d(hidden, 2)


@register("cnn14")
class CNN14(AudioSetEncoder):
    """Layers ``block1`` … ``block3`` (2048 channels × bands each), at 32 kHz.

    Input: decibels of the power in 64 Slaney mel bands, 50–14 000 Hz, normalised by a batch norm for each band.
    Weights: Kong et al., CC BY 4.0.
    """

    sample_rate = 32_000
    hop = 320
    window = fft = 1024
    stride = 8
    channels: ClassVar = {"block1": 2048, "block2": 2048, "block3": 2048}
    highest = 14_000.0  # Hz
    download = Download(
        "cnn14",
        f"{RECORD}/Cnn14_mAP=0.431.pth",
        "0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
        FALLBACK,
        "model",
        "327 MB, CC BY 4.0, Kong et al.",
    )

    def mel_bank(self) -> NDArray[np.floating]:
        """Slaney's (64, bins), of unit area."""
        import librosa

        bank: NDArray[np.floating] = librosa.filters.mel(
            sr=self.sample_rate, n_fft=self.fft, n_mels=64, fmin=50.0, fmax=self.highest
        )
        return bank

    def make_network(self) -> nn.Module:
        """The blocks."""
        sizes = zip((1, *FILTERS), FILTERS, strict=False)
        blocks = {f"conv_block{number}": Block(*size) for number, size in enumerate(sizes, 1)}
        return nn.ModuleDict({"bn0": nn.BatchNorm1d(64), **blocks})  # 2d, on one column, has a wrong gradient in torch

    def log_mel(self, spectrogram: Tensor) -> Tensor:
        """Log-mel power (B, 64, N) in dB of log(1 + |STFT|) (B, fft // 2 + 1, N)."""
        return 10 * torch.log10((self.bank @ magnitude(spectrogram).square()).clamp_min(FLOOR))

    def layers(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """``block1`` (B, 64, 32 bands, N // 2) … ``block3`` (B, 256, 8, N // 8)."""
        bands = self.network.get_submodule("bn0")(self.log_mel(spectrogram))  # one mean for each band
        hidden, outputs = bands[:, None].transpose(2, 3), {}
        for name in self.channels:
            hidden = self.network.get_submodule(f"conv_{name}")(hidden)
            outputs[name] = hidden.transpose(2, 3)
        return outputs


@register("cnn14-16k")
class CNN14At16k(CNN14):
    """The same at 16 kHz, mel bands up to 8 kHz."""

    sample_rate = 16_000
    hop = 160
    window = fft = 512
    highest = 8000.0
    download = Download(
        "cnn14-16k",
        f"{RECORD}/Cnn14_16k_mAP=0.438.pth",
        "e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
        FALLBACK,
        "model",
        "324 MB, CC BY 4.0, Kong et al.",
    )
