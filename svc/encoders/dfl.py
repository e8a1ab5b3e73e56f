"""Deep feature loss network (DFL; Germain, Chen and Koltun 1806.10522): a waveform classifier of two tasks.

14 convolutions of 3 samples, each but the last with a stride of 2. Its first six layers are the loss; the sixth sees
127 samples, so that they are short-time filters at six rates, and need a target that is aligned to the sample. The
tasks are ours, for data that may ship: the speaker, and what was done to the recording. Batch norm is by running
statistics: by those of a batch, as published, a segment would depend on its neighbours. ``recipes/train_dfl.py``
trains it.
"""

from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from svc.encoders import register
from svc.encoders.base import Encoder
from svc.encoders.weights import load_trained

CHANNELS = (*5 * (32,), *5 * (64,), *4 * (128,))
RECEPTIVE_FIELD = 2**15 - 1  # samples, of the last layer
LOSS_LAYERS = 6
FRAME = 160  # samples
WEIGHTS = Path(__file__).with_suffix(".safetensors")


class DFLNetwork(nn.Module):
    """The convolutions, on audio (B, T) at 16 kHz with an RMS level of about 0.1."""

    def __init__(self, layers: int = len(CHANNELS)) -> None:
        super().__init__()
        self.strides = [1 if number == len(CHANNELS) else 2 for number in range(1, layers + 1)]
        sizes = zip((1, *CHANNELS), CHANNELS, self.strides, strict=False)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv1d(a, b, 3, stride, bias=False), nn.BatchNorm1d(b), nn.LeakyReLU(0.2))
            for a, b, stride in sizes
        )
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, audio: Tensor) -> list[Tensor]:
        """Activations (B, C, T / 2), (B, C, T / 4) … of all layers."""
        hidden, outputs = audio[:, None], []
        for layer, stride in zip(self.layers, self.strides, strict=True):
            even = stride == 2 and hidden.shape[-1] % 2 == 0
            hidden = layer(functional.pad(hidden, (0, 1) if even else (1, 1)))  # "same" as in TensorFlow
            outputs.append(hidden)
        return outputs


@register("dfl")
class DFLEncoder(Encoder):
    """Layers ``layer1`` … ``layer6``: channels × positions within a frame, flattened to C."""

    channels: ClassVar = {
        f"layer{number}": size * max(5, FRAME >> number) for number, size in enumerate(CHANNELS[:LOSS_LAYERS], 1)
    }
    margin = 1

    def __init__(self, file: Path | None = WEIGHTS) -> None:
        """Weights from a file written by the recipe; random ones if there is none.

        Raises:
            WeightsError: the file is not there, damaged or of another network.
        """
        super().__init__()
        self.model = DFLNetwork(LOSS_LAYERS)
        load_trained(self.model, file, "train_dfl")
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz; positions of the sixth, at 250 Hz, count twice."""
        frames = audio.shape[-1] // FRAME
        padded = functional.pad(audio[..., : frames * FRAME], (0, frames % 2 * FRAME))  # a whole number of 64 samples
        layers = {}
        for number, hidden in enumerate(self.model(padded), 1):
            steps = max(5, FRAME >> number)
            hidden = hidden.repeat_interleave(2, dim=-1) if FRAME % (1 << number) else hidden
            parts = hidden[..., : frames * steps].unflatten(-1, (frames, steps))
            layers[f"layer{number}"] = parts.transpose(2, 3).flatten(1, 2)
        return layers
