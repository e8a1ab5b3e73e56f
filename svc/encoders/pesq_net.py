"""PESQ surrogate (Elbaz and Zibulevsky 1708.05987): a network whose distance of features predicts PESQ, as a loss.

The published network reads both recordings at once. This one reads one at a time, and the prediction is a function of
the L1 distance of the two outputs: the perceptual loss of ``svc/losses/perceptual.py`` on its one layer, with the
distance ``l1``, falls exactly where the predicted PESQ rises. ``recipes/train_pesq_net.py`` trains it.
"""

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import mel_filters, power_spectrogram
from svc.encoders import register
from svc.encoders.base import Encoder
from svc.encoders.weights import load_trained

SAMPLE_RATE, WINDOW, HOP = 16_000, 575, 160
FFT, BANDS, FLOOR = 1024, 48, 1e-7
DILATIONS = 1, 2, 4, 4
SEGMENT = WINDOW + 2 * sum(DILATIONS) * HOP  # 4095 samples, of which one frame is computed, as published
CHANNELS = 64
LOWEST, HIGHEST = 1.0, 4.644  # wide-band PESQ, MOS-LQO
WEIGHTS = Path(__file__).with_suffix(".safetensors")


class PESQNetwork(nn.Module):
    """Dilated convolutions over time on log-mel spectra of audio at an RMS level of about 0.1."""

    def __init__(self) -> None:
        super().__init__()
        bank = mel_filters(SAMPLE_RATE, FFT, BANDS, 60.0, 7800.0)
        self.register_buffer("bank", torch.from_numpy(bank).float().T.contiguous(), persistent=False)
        self.bank: Tensor
        self.enter = nn.Conv1d(BANDS, CHANNELS, 1)
        self.blocks = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 3, padding=d, dilation=d) for d in DILATIONS)
        self.exit = nn.Conv1d(CHANNELS, CHANNELS, 1)
        self.log_scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, audio: Tensor) -> Tensor:
        """Features (B, 64, N), none negative, of audio (B, T)."""
        power = power_spectrogram(audio, WINDOW, HOP, FFT) @ self.bank
        hidden = self.enter((torch.log(power + FLOOR) / 4 + 2.5).transpose(1, 2))
        for block in self.blocks:
            hidden = hidden + functional.leaky_relu(block(hidden), 0.2)
        return functional.softplus(self.exit(hidden))

    def score(self, real: Tensor, fake: Tensor) -> Tensor:
        """Predicted PESQ (B,) of audio (B, T), compared with real audio (B, T)."""
        target, features = self(real), self(fake)
        distance = (features - target).abs().sum(dim=(1, 2)) / target.sum(dim=(1, 2))
        return LOWEST + (HIGHEST - LOWEST) * torch.exp(-self.log_scale.exp() * distance)


@register("pesq-net")
class PESQEncoder(Encoder):
    """Layer ``features`` (B, 64, N), for the distance ``l1``."""

    channels: ClassVar = {"features": CHANNELS}
    margin = sum(DILATIONS) + 2

    def __init__(self, file: Path | None = WEIGHTS) -> None:
        """Weights from a file written by the recipe; random ones if there is none.

        Raises:
            WeightsError: the file is not there, damaged or of another network.
        """
        super().__init__()
        self.model = PESQNetwork()
        load_trained(self.model, file, "train_pesq_net")
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """The one layer of audio (B, T) at 16 kHz."""
        return {"features": self.model(audio)}
