"""The acoustic model: a convolutional network in the line of wav2letter (Collobert et al. 2016) on the 10 ms clock.

It names the sound of every frame. What it says of a frame is a direction in a small space, in which each sound has
one of its own (a cosine classifier): two singers of one sound point the same way, and that is what content features
are for. The blocks are those of ConvNeXt (Liu et al. 2022): wide kernels for each channel, then two layers of all.
``recipes/train_acoustic_model.py`` trains it.
"""

import warnings
from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import power_spectrogram
from svc.encoders import safetensors_io
from svc.encoders.base import Encoder
from svc.errors import WeightsError

SAMPLE_RATE, WINDOW, HOP, FFT = 16_000, 400, 160, 1024
BANDS, LOWEST, HIGHEST = 80, 60.0, 7000.0  # mel bands, Hz
FLOOR = 1e-8  # power: −80 dB
MEAN, SPREAD = -10.0, 4.0  # nepers of power, about those of speech at its level in features/content.py
CHANNELS, BLOCKS, KERNEL, EXPANSION = 256, 10, 9, 3
WORDS, SOUNDS = 64, 39  # channels of the layers that come out
FILE = Path(__file__).with_suffix(".safetensors")


class Block(nn.Module):
    """Residual: a kernel for each channel, then what the channels make of each other, frame by frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.along = nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, EXPANSION * channels)
        self.narrow = nn.Linear(EXPANSION * channels, channels)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, flow: Tensor) -> Tensor:
        """(B, N, C) to the same."""
        seen = self.along(flow.transpose(1, 2)).transpose(1, 2)
        added: Tensor = self.narrow(functional.gelu(self.widen(self.norm(seen))))
        return flow + added


class AcousticModel(nn.Module):
    """The network that learns, on log-mel spectra (B, N, 80)."""

    margin = 2 + BLOCKS * (KERNEL // 2)

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(BANDS, CHANNELS, 5, padding=2)
        self.blocks = nn.ModuleList(Block(CHANNELS) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(CHANNELS)
        self.exit = nn.Linear(CHANNELS, WORDS)
        self.sounds = nn.Parameter(torch.randn(SOUNDS, WORDS))
        self.sharpness = nn.Parameter(torch.tensor(12.0))

    def forward(self, spectrum: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Outputs of the blocks (B, N, C), directions of unit length (B, N, 64), logits of the sounds (B, N, 39)."""
        flow = self.enter(spectrum.transpose(1, 2)).transpose(1, 2)
        outputs = []
        for block in self.blocks:
            flow = block(flow)
            outputs.append(flow)
        words = functional.normalize(self.exit(self.norm(flow)), dim=-1)
        return outputs, words, self.sharpness * words @ functional.normalize(self.sounds, dim=-1).T


class Wav2Letter(Encoder):
    """Layers ``block1`` … ``block10`` (256), ``words`` (64, unit length) and ``sounds`` (39 log posteriors)."""

    sample_rate = SAMPLE_RATE
    margin = AcousticModel.margin + 2
    normalised = "together"

    def __init__(self, file: Path | None = FILE) -> None:
        """Weights from a file made by the recipe; random ones if there is none.

        Raises:
            WeightsError: the file is not there, damaged or of another network.
        """
        super().__init__()
        self.register_buffer("bank", mel_bank().clone(), persistent=False)
        self.bank: Tensor
        self.model = AcousticModel()
        if file is not None:
            if not file.is_file():
                raise WeightsError(f"{file}: not there; make it with recipes/train_acoustic_model.py, or use cepstral")
            stored = {name: value.half() for name, value in self.model.state_dict().items()}
            self.model.load_state_dict(safetensors_io.read(file, stored, "install svc anew"))
        self.freeze()

    @property
    def identity(self) -> str:
        """Name and version; the weights have a hash of their own."""
        return "wav2letter/1"

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz."""
        outputs, words, logits = self.model(log_mel(audio, self.bank))
        layers = {f"block{number}": output for number, output in enumerate(outputs, 1)}
        layers |= {"words": words, "sounds": functional.log_softmax(logits, dim=-1)}
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
def mel_bank(warp: float = 1.0) -> Tensor:
    """Weights (513, 80) of mel bands on a frequency axis that is ``warp`` times as long.

    With a warp the same audio is heard as from a vocal tract shorter by that factor, and as high by it (vocal-tract
    length perturbation, Jaitly and Hinton 2013).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bands that a longer tract leaves empty
        bank = librosa.filters.mel(
            sr=SAMPLE_RATE * warp, n_fft=FFT, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST, norm=None, dtype=np.float64
        )
    return torch.from_numpy(bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-3)).float().T.contiguous()
