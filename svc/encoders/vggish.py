"""VGGish (Hershey et al. 1609.09430), the convolutions of the AudioSet classifier in torchvggish's weights."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from svc.encoders import register
from svc.encoders.spectrogram import AudioSetEncoder, magnitude
from svc.encoders.weights import Download

FILTERS = (64, 128, (256, 256), (512, 512))  # with a pooling by 2 × 2 after each group
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # mel bands, Hz
OFFSET = 0.01  # of the magnitude, in the logarithm
FALLBACK = "or use svc style -p shallow or -p autoencoder, which need no download"


@register("vggish")
class VGGish(AudioSetEncoder):
    """Layers ``conv1`` … ``conv6`` after their ReLU, 4096 channels × bands each or fewer; run fully convolutionally.

    Input: 64 HTK mel bands of magnitudes, 125–7500 Hz, 400 samples of a periodic Hann window in 512. The classifier
    has patches of 96 frames, which are no part of the convolutions. Weights: Google, Apache-2.0.
    """

    window, fft, stride = 400, 512, 16
    channels: ClassVar = {"conv1": 4096, "conv2": 4096, "conv3": 4096, "conv4": 4096, "conv5": 4096, "conv6": 4096}
    download = Download(
        "vggish",
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
        FALLBACK,
        terms="288 MB, Apache-2.0",
    )

    def mel_bank(self) -> NDArray[np.floating]:
        """Triangles (64, 257) that are linear in mel, as Google's, not in Hz as librosa's; 0 Hz has no part in them."""
        mel = _mel(np.linspace(0, self.sample_rate / 2, self.fft // 2 + 1))
        edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
        step = edges[1] - edges[0]
        return np.maximum(0, 1 - np.abs(mel - edges[1:-1, None]) / step) * (mel > 0)

    def make_network(self) -> nn.Module:
        """The convolutions."""
        layers: list[nn.Module] = []
        size = 1
        for group in FILTERS:
            for filters in group if isinstance(group, tuple) else (group,):
                layers += [nn.Conv2d(size, filters, 3, padding=1), nn.ReLU()]
                size = filters
            layers.append(nn.MaxPool2d(2))
        return nn.ModuleDict({"features": nn.Sequential(*layers)})

    def log_mel(self, spectrogram: Tensor) -> Tensor:
        """Log-mel magnitudes (B, 64, N) of log(1 + |STFT|) (B, 257, N)."""
        return torch.log(self.bank @ magnitude(spectrogram) + OFFSET)

    def layers(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """``conv1`` (B, 64, 64 bands, N) … ``conv6`` (B, 512, 8, N // 8)."""
        hidden = self.log_mel(spectrogram)[:, None].transpose(2, 3)  # the file's rows are frames
        outputs: dict[str, Tensor] = {}
        features = self.network.get_submodule("features")
        assert isinstance(features, nn.Sequential)
        for layer in features:
            if isinstance(layer, nn.MaxPool2d) and len(outputs) == len(self.channels):
                break
            hidden = layer(hidden)
            if isinstance(layer, nn.ReLU):
                outputs[f"conv{len(outputs) + 1}"] = hidden.transpose(2, 3)
        return outputs


def _mel(hertz: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """HTK's scale."""
    return np.asarray(1127 * np.log1p(np.asarray(hertz) / 700))
