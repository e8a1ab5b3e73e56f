"""CAM++ speaker embedding (Wang et al. 2023, arXiv 2303.00332): a densely connected TDNN with context-aware masking.

The module names are those of the published weights ``campplus_cn_en_common.pt`` (3D-Speaker, Apache-2.0, trained on
200 000 Chinese and English speakers).
"""

import hashlib
from pathlib import Path
from types import EllipsisType
from typing import ClassVar

import torch
from torch import Tensor, nn

from svc.encoders import register
from svc.encoders.base import Encoder
from svc.encoders.weights import cache_folder
from svc.errors import WeightsError

RATE = 16_000  # Hz
MEL_BANDS = 80
CHANNELS = 32  # of the 2-D front end, and the growth rate of the dense blocks
BOTTLENECK = 128
CONTEXT = 100  # frames of a segment of the context mask
BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers and dilation
EMBEDDING = 192
FILE = "campplus_cn_en_common.pt"
SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
SOURCE = "modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced"


def sequential(**modules: nn.Module) -> nn.Sequential:
    """Modules one after another, by the names of the published weights."""
    layers = nn.Sequential()
    for name, module in modules.items():
        layers.add_module(name, module)
    return layers


def normalised(channels: int) -> nn.Sequential:
    """Batch normalisation and a ReLU."""
    return sequential(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU())


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut; the first may halve the frequency axis: (B, 32, F, N) → (B, 32, F', N)."""

    def __init__(self, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, CHANNELS, 3, (stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(CHANNELS)
        projection = [nn.Conv2d(CHANNELS, CHANNELS, 1, (stride, 1), bias=False), nn.BatchNorm2d(CHANNELS)]
        self.shortcut = nn.Sequential(*(projection if stride > 1 else []))

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        h = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(h)) + self.shortcut(x)).relu()


class FrontEnd(nn.Module):
    """Front-end convolution module (FCM): log mel (B, 80, N) → (B, 320, N)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS)
        self.layer1 = nn.Sequential(ResidualBlock(2), ResidualBlock(1))
        self.layer2 = nn.Sequential(ResidualBlock(2), ResidualBlock(1))
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, (2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(CHANNELS)

    def forward(self, mel: Tensor) -> Tensor:
        """Reduce the frequency axis by 8."""
        x = self.bn1(self.conv1(mel[:, None])).relu()
        x = self.bn2(self.conv2(self.layer2(self.layer1(x)))).relu()
        return x.flatten(1, 2)


class ContextAwareMask(nn.Module):
    """Dilated convolution (B, 128, N) → (B, 32, N), scaled by a mask from global and segment means (eqs. 2–5)."""

    def __init__(self, dilation: int):
        super().__init__()
        self.linear_local = nn.Conv1d(BOTTLENECK, CHANNELS, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK // 2, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The masked features."""
        segments = nn.functional.avg_pool1d(x, CONTEXT, CONTEXT, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + segments.repeat_interleave(CONTEXT, -1)[..., : x.shape[-1]]
        return self.linear_local(x) * self.linear2(self.linear1(context).relu()).sigmoid()


class DenseBlock(nn.Module):
    """Layers that each see the input and the output of all layers before: (B, C, N) → (B, C + 32·layers, N)."""

    def __init__(self, channels: int, layers: int, dilation: int):
        super().__init__()
        for number in range(layers):
            inputs = channels + number * CHANNELS
            layer = sequential(
                nonlinear1=normalised(inputs),
                linear1=nn.Conv1d(inputs, BOTTLENECK, 1, bias=False),
                nonlinear2=normalised(BOTTLENECK),
                cam_layer=ContextAwareMask(dilation),
            )
            self.add_module(f"tdnnd{number + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        """All channels."""
        for layer in self.children():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class CamPlusPlus(nn.Module):
    """The network: log-mel features (B, 80, N) → embedding (B, 192)."""

    def __init__(self) -> None:
        super().__init__()
        self.head = FrontEnd()
        channels = 128
        first = nn.Conv1d(CHANNELS * MEL_BANDS // 8, channels, 5, stride=2, padding=2, bias=False)
        layers: dict[str, nn.Module] = {"tdnn": sequential(linear=first, nonlinear=normalised(channels))}
        for number, (count, dilation) in enumerate(BLOCKS, 1):
            layers[f"block{number}"] = DenseBlock(channels, count, dilation)
            channels += count * CHANNELS
            halve = nn.Conv1d(channels, channels // 2, 1, bias=False)
            layers[f"transit{number}"] = sequential(nonlinear=normalised(channels), linear=halve)
            channels //= 2
        layers["out_nonlinear"] = normalised(channels)
        dense = nn.Conv1d(2 * channels, EMBEDDING, 1, bias=False)
        layers["dense"] = sequential(
            linear=dense, nonlinear=sequential(batchnorm=nn.BatchNorm1d(EMBEDDING, affine=False))
        )
        self.xvector = sequential(**layers)

    def forward(self, mel: Tensor) -> Tensor:
        """Embedding, not of unit norm."""
        x = self.xvector[:-1](self.head(mel))
        statistics = torch.cat([x.mean(-1), x.std(-1)], dim=1)  # at least two of the strided frames
        return self.xvector[-1](statistics[..., None])[..., 0]


@register("campplus")
class CamPlusPlusEncoder(Encoder):
    """Layer ``embedding`` (B, 192, 1), not of unit norm, of audio of 0.1 s or more."""

    hop = None
    channels: ClassVar = {"embedding": EMBEDDING}
    min_samples = 1600

    def __init__(self, file: Path | EllipsisType | None = ...) -> None:
        """Published weights, never downloaded, from the cache or another file, or random ones if that is None.

        Raises:
            WeightsError: the file is not there, or its SHA-256 is not that of the published one.
        """
        super().__init__()
        self.network = CamPlusPlus()
        if file is not None:
            path = cache_folder() / FILE if isinstance(file, EllipsisType) else file
            if not path.is_file():
                way_out = f"download {FILE} from {SOURCE} into {path.parent}, or choose another --speaker-encoder"
                raise WeightsError(f"{path}: not found; {way_out}")
            if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
                raise WeightsError(f"{path}: not the published CAM++ weights (SHA-256 differs); download {FILE} again")
            self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """The one layer of audio (B, T) at 16 kHz."""
        from torchaudio.compliance import kaldi

        mel = torch.stack([kaldi.fbank(one[None], num_mel_bins=MEL_BANDS, sample_frequency=RATE) for one in audio])
        return {"embedding": self.network((mel - mel.mean(1, keepdim=True)).transpose(1, 2))[..., None]}
