"""Frame-wise phone classifier (acoustic model): a 64-d unit-norm embedding per 10 ms, and posteriors of 39 phones.

The head is a cosine classifier: every phone has a class vector, and the embedding of a frame points to that of its
phone, whoever speaks. The blocks are those of ConvNeXt (Liu et al. 2022): wide depthwise kernels, then two pointwise
layers. ``recipes/train_phone_model.py`` trains it.
"""

from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import mel_filters, power_spectrogram
from svc.encoders import register
from svc.encoders.base import Encoder
from svc.encoders.weights import load_trained

SAMPLE_RATE, WINDOW, HOP, FFT = 16_000, 400, 160, 1024
BANDS, LOWEST, HIGHEST = 80, 60.0, 7000.0  # mel bands, Hz
FLOOR = 1e-8  # power: −80 dB
MEAN, SPREAD = -10.0, 4.0  # nepers of power, about those of speech at its level in features/content.py
CHANNELS, BLOCKS, KERNEL, EXPANSION = 256, 10, 9, 3
EMBEDDING, PHONES = 64, 39  # channels of the layers that come out
WEIGHTS = Path(__file__).with_suffix(".safetensors")


class Block(nn.Module):
    """ConvNeXt block: depthwise convolution over time, LayerNorm, two pointwise layers, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.along = nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, EXPANSION * channels)
        self.narrow = nn.Linear(EXPANSION * channels, channels)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) to the same."""
        hidden = self.along(x.transpose(1, 2)).transpose(1, 2)
        added: Tensor = self.narrow(functional.gelu(self.widen(self.norm(hidden))))
        return x + added


class PhoneClassifier(nn.Module):
    """The trainable network, on log-mel spectra (B, N, 80)."""

    margin = 2 + BLOCKS * (KERNEL // 2)

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(BANDS, CHANNELS, 5, padding=2)
        self.blocks = nn.ModuleList(Block(CHANNELS) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(CHANNELS)
        self.exit = nn.Linear(CHANNELS, EMBEDDING)
        self.sounds = nn.Parameter(torch.randn(PHONES, EMBEDDING))
        self.sharpness = nn.Parameter(torch.tensor(12.0))

    def forward(self, spectrum: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Outputs of the blocks (B, N, C), unit-norm embeddings (B, N, 64), logits of the phones (B, N, 39)."""
        x = self.enter(spectrum.transpose(1, 2)).transpose(1, 2)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        embedding = functional.normalize(self.exit(self.norm(x)), dim=-1)
        return outputs, embedding, self.sharpness * embedding @ functional.normalize(self.sounds, dim=-1).T


@register("phone-classifier")
class PhoneEncoder(Encoder):
    """Layers ``block1`` … ``block10``, ``embedding`` (unit norm) and ``log_posteriors`` (a PPG) of the classifier."""

    channels: ClassVar = {
        "embedding": EMBEDDING,
        "log_posteriors": PHONES,
        **{f"block{number}": CHANNELS for number in range(1, BLOCKS + 1)},
    }
    margin = PhoneClassifier.margin + 2
    normalization = "global_variance"

    def __init__(self, file: Path | None = WEIGHTS) -> None:
        """Weights from a file made by the recipe; random ones if there is none.

        Raises:
            WeightsError: the file is not there, damaged or of another network.
        """
        super().__init__()
        self.register_buffer("bank", mel_bank().clone(), persistent=False)
        self.bank: Tensor
        self.model = PhoneClassifier()
        load_trained(self.model, file, "train_phone_model")
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz."""
        outputs, embedding, logits = self.model(log_mel(audio, self.bank))
        layers = {f"block{number}": output for number, output in enumerate(outputs, 1)}
        layers |= {"embedding": embedding, "log_posteriors": functional.log_softmax(logits, dim=-1)}
        return {name: layer.transpose(1, 2) for name, layer in layers.items()}


def log_mel(audio: Tensor, bank: Tensor) -> Tensor:
    """Log-mel spectra (B, N, 80) of audio (B, T) at 16 kHz, about zero mean and unit variance for speech.

    Args:
        audio: (B, T).
        bank: (513, 80) or (B, 513, 80), by ``mel_bank``.
    """
    power = power_spectrogram(audio, WINDOW, HOP, FFT)
    return (torch.log(power @ bank + FLOOR) - MEAN) / SPREAD


@lru_cache(maxsize=32)
def mel_bank(vtlp_factor: float = 1.0) -> Tensor:
    """Mel filter bank (513, 80), its frequency axis scaled by a vocal-tract length perturbation factor (VTLP).

    With a factor the audio looks like that of a vocal tract shorter by it (Jaitly and Hinton 2013).
    """
    bank = mel_filters(SAMPLE_RATE * vtlp_factor, FFT, BANDS, LOWEST, HIGHEST)
    return torch.from_numpy(bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-3)).float().T.contiguous()
