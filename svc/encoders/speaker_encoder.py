"""Speaker encoder (d-vector): a CNN of five blocks, or the LSTM of GE2E (Wan et al. 1710.10467), trained here.

For zero-shot conversion, fitting and speaker losses. ``recipes/train_speaker_encoder.py`` trains it.
"""

from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.audio.stft import mel_filters, power_spectrogram
from svc.encoders import register
from svc.encoders.base import Encoder
from svc.encoders.weights import load_trained, read_header
from svc.errors import DataError

SAMPLE_RATE, WINDOW, HOP, FFT = 16_000, 400, 160, 512
BANDS, LOWEST, HIGHEST = 64, 60.0, 6900.0  # mel bands, Hz; the clips of training reach 8 kHz and are warped to 6.9
FLOOR = 1e-5  # of the mean power: −50 dB
MEAN, SPREAD = -4.5, 3.5  # nepers of power, about those of speech
SIZE = 128  # of the embedding
CHANNELS = 24, 32, 64, 128, 192  # of the blocks
LSTM_UNITS = 256
WINDOW_SECONDS, STEP_SECONDS = 3.0, 1.5  # of a recording that is embedded
SILENCE = 1e-3  # power relative to the loudest window; quieter windows are left out
WEIGHTS = Path(__file__).with_suffix(".safetensors")


class SpeakerCNN(nn.Module):
    """Five convolutions with batch norm, ReLU and max pooling; a linear layer of the statistics over time.

    The statistics of the spectra themselves, which identify a speaker by the average spectrum, go to it too.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = zip((1, *CHANNELS), CHANNELS, (5, 3, 3, 3, 3), (2, 1, 1, 1, 1), strict=False)
        pools = ((1, 1), (2, 2), (2, 2), (1, 2), (1, 2))  # frames, bands
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(),
                nn.MaxPool2d(pool, ceil_mode=True),
            )
            for (a, b, kernel, stride), pool in zip(sizes, pools, strict=True)
        )
        self.enter = nn.BatchNorm1d(2 * BANDS)
        self.exit = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(2 * BANDS + 4 * CHANNELS[-1], SIZE), nn.BatchNorm1d(SIZE, affine=False)
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel spectra (B, N, 64) to embeddings (B, 128), not of unit norm."""
        hidden = mel[:, None]
        for block in self.blocks:
            hidden = block(hidden)
        outputs = hidden.transpose(2, 3).flatten(1, 2)  # (B, C · bands, N / 8)
        pooled = [self.enter(statistics(mel.transpose(1, 2))), statistics(outputs)]
        embedding: Tensor = self.exit(torch.cat(pooled, dim=1))
        return embedding


class SpeakerLSTM(nn.Module):
    """Three LSTM layers of 256 units on frames of 20 ms, the last output through a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, LSTM_UNITS, 3, batch_first=True)
        self.exit = nn.Sequential(nn.Linear(LSTM_UNITS, SIZE), nn.BatchNorm1d(SIZE, affine=False))

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel spectra (B, N, 64) to embeddings (B, 128), not of unit norm."""
        frames = functional.avg_pool1d(mel.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)
        embedding: Tensor = self.exit(self.lstm(frames)[0][:, -1])
        return embedding


NETWORKS: dict[str, type[SpeakerCNN | SpeakerLSTM]] = {"cnn": SpeakerCNN, "lstm": SpeakerLSTM}


class SpeakerNetwork(nn.Module):
    """A network, and the centring and whitening of its embeddings by the speakers it was trained on."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.body = name, NETWORKS[name]()
        self.register_buffer("centre", torch.zeros(SIZE))
        self.register_buffer("whitening", torch.eye(SIZE))
        self.centre: Tensor
        self.whitening: Tensor

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel spectra (B, N, 64) to unit vectors (B, 128)."""
        return functional.normalize((self.body(mel) - self.centre) @ self.whitening, dim=-1, eps=1e-6)


@register("speaker")
class SpeakerEncoder(Encoder):
    """Layer ``embedding`` (B, 128, 1): a unit vector for all of the audio; trained on 1 to 3 s. No gain matters."""

    hop = None
    channels: ClassVar = {"embedding": SIZE}

    def __init__(self, file: Path | None = WEIGHTS) -> None:
        """Weights from a file made by the recipe; random ones of the CNN if there is none.

        Raises:
            WeightsError: the file is not there, damaged or of another network.
        """
        super().__init__()
        self.register_buffer("bank", mel_bank().clone(), persistent=False)
        self.bank: Tensor
        name = "cnn" if file is None else read_header(file, "config", "train_speaker_encoder")["network"]
        self.model, self.options = SpeakerNetwork(name), name
        load_trained(self.model, file, "train_speaker_encoder")
        self.freeze()
        for module in self.modules():
            if isinstance(module, nn.LSTM):  # cuDNN has no gradient through one in eval mode; it has no dropout
                module.training = True

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """The one layer of audio (B, T) at 16 kHz."""
        power = power_spectrogram(audio, WINDOW, HOP, FFT) @ self.bank
        return {"embedding": self.model(normalise(power))[:, :, None]}

    @torch.no_grad()
    def embed(self, audio: Audio) -> NDArray[np.float32]:
        """Unit vector (128,) of a recording of any length: the mean over windows of 3 s that are not silent.

        Raises:
            DataError: it lasts less than 0.1 s, or is silent.
        """
        samples = torch.from_numpy(resample(audio, SAMPLE_RATE).samples)
        size, step = round(WINDOW_SECONDS * SAMPLE_RATE), round(STEP_SECONDS * SAMPLE_RATE)
        if len(samples) < SAMPLE_RATE // 10 or not bool(samples.any()):
            raise DataError("no speaker embedding: the recording is silent or shorter than 0.1 s")
        windows = samples.unfold(0, size, step) if len(samples) >= size else samples[None]
        if len(samples) > size:
            windows = torch.cat([windows, samples[None, -size:]])
        power = windows.square().mean(dim=1)
        loud = windows[power >= SILENCE * power.max()]
        mean = torch.cat([self(part)["embedding"][..., 0] for part in loud.split(16)]).mean(dim=0)
        embedding: NDArray[np.float32] = functional.normalize(mean, dim=0).numpy()
        return embedding


def statistics(frames: Tensor) -> Tensor:
    """Mean and standard deviation over time (B, 2C) of frames (B, C, N)."""
    return torch.cat([frames.mean(dim=2), (frames.var(dim=2, correction=0) + 1e-5).sqrt()], dim=1)


def normalise(power: Tensor) -> Tensor:
    """Log-mel spectra (B, N, 64) of mel power, relative to the mean of each item."""
    level = power.mean(dim=(1, 2), keepdim=True) + 1e-12
    return (torch.log(power / level + FLOOR) - MEAN) / SPREAD


@lru_cache(maxsize=8)
def mel_bank(warp: float = 1.0) -> Tensor:
    """Mel filter bank (257, 64), its frequency axis scaled by a factor (VTLP, Jaitly and Hinton 2013)."""
    bank = mel_filters(SAMPLE_RATE * warp, FFT, BANDS, LOWEST, HIGHEST)
    return torch.from_numpy(bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-3)).float().T.contiguous()
