"""Spectrogram autoencoder (Perez, Proctor and Jain 2017), whose encoder gives the features of prosodic style transfer.

The sizes of the original are not known; these are ours. ``recipes/train_autoencoder.py`` trains it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from svc.encoders import register
from svc.encoders.spectrogram import SpectrogramEncoder
from svc.encoders.weights import load_trained, read_header

FFT = 512
FILTERS = (16, 32, 64, 32)
STRIDES = ((2, 1), (2, 1), (2, 2), (2, 2))  # bins, frames
GRU_UNITS = 54  # about as many weights as the convolutional network
LEVEL = 2.0  # of log(1 + |STFT|), about its mean over speech
WEIGHTS = Path(__file__).with_suffix(".safetensors")


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderSize:
    """What the ten strategies of the report change in the network."""

    recurrent: bool = False  # seq2seq of two GRUs instead of convolutions
    dilated_first: bool = True  # the first convolution is dilated, by 2 frames and bins
    batch_norm: bool = False  # after every convolution
    leaky_relu: bool = True  # instead of ReLU


class Autoencoder(nn.Module):
    """The trainable network, on log(1 + |STFT|) (B, 257, N), N a multiple of 4."""

    def __init__(self, size: AutoencoderSize) -> None:
        super().__init__()
        self.size = size
        if size.recurrent:
            self.encoder = nn.ModuleList([nn.GRU(FFT // 2 + 1, GRU_UNITS, batch_first=True)])
            self.decoder = nn.ModuleList([nn.GRU(GRU_UNITS, GRU_UNITS, batch_first=True)])
            self.output: nn.Module = nn.Linear(GRU_UNITS, FFT // 2 + 1)
            return
        pairs = list(zip((1, *FILTERS), FILTERS, STRIDES, strict=False))
        dilations = [2 if size.dilated_first else 1, 1, 1, 1]
        down = [nn.Conv2d(a, b, 3, stride, d, d) for (a, b, stride), d in zip(pairs, dilations, strict=True)]
        up = [nn.ConvTranspose2d(b, a, 3, stride, 1, (0, stride[1] - 1)) for a, b, stride in reversed(pairs)]
        act = nn.LeakyReLU(0.2) if size.leaky_relu else nn.ReLU()
        norms = [nn.BatchNorm2d(b) if size.batch_norm else nn.Identity() for b in FILTERS]
        self.encoder = nn.ModuleList(nn.Sequential(conv, norm, act) for conv, norm in zip(down, norms, strict=True))
        self.decoder = nn.ModuleList(nn.Sequential(conv, act) for conv in up[:-1])
        self.output = up[-1]

    def encode(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """``layer1`` (B, 16, 129, N) … ``layer4`` (B, 32, 17, N / 4); recurrent: ``layer1`` (B, 54, N)."""
        hidden, outputs = spectrogram / LEVEL, {}
        for number, layer in enumerate(self.encoder, 1):
            if self.size.recurrent:
                hidden = layer(hidden.transpose(1, 2))[0].transpose(1, 2)
            else:
                hidden = layer(hidden if number > 1 else hidden[:, None])
            outputs[f"layer{number}"] = hidden
        return outputs

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Its reconstruction (B, 257, N)."""
        hidden = list(self.encode(spectrogram).values())[-1]
        if self.size.recurrent:
            hidden = self.decoder[0](hidden.transpose(1, 2))[0]
            return LEVEL * self.output(hidden).transpose(1, 2)
        for layer in self.decoder:
            hidden = layer(hidden)
        return LEVEL * self.output(hidden)[:, 0]


@register("autoencoder")
class AutoencoderEncoder(SpectrogramEncoder):
    """Layers ``layer1`` … ``layer4`` of the autoencoder: from local texture to content."""

    window = fft = FFT
    stride = 4
    channels: ClassVar = {"layer1": 16 * 129, "layer2": 32 * 65, "layer3": 64 * 33, "layer4": 32 * 17}

    def __init__(self, file: Path | None = WEIGHTS) -> None:
        """Weights from a file made by the recipe; random ones if there is none.

        Raises:
            WeightsError: the file is not there, damaged or of another network.
        """
        super().__init__()
        size = {} if file is None else read_header(file, "size", "train_autoencoder")
        self.model = Autoencoder(AutoencoderSize(**size))
        self.options = json.dumps(asdict(self.model.size))
        load_trained(self.model, file, "train_autoencoder")
        self.freeze()

    def layers(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """``layer1`` (B, 16, 129, N) … ``layer4`` (B, 32, 17, N / 4); N is made a multiple of 4."""
        missing = -spectrogram.shape[-1] % self.stride
        return self.model.encode(functional.pad(spectrogram, (0, missing), mode="replicate"))
