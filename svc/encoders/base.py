"""The one shape of a frozen network."""

import hashlib
from abc import abstractmethod
from typing import Literal, Self

from torch import Tensor, nn


class Encoder(nn.Module):
    """Audio (B, T) at ``sample_rate`` in, named layers (B, C, N) on the 10 ms clock out.

    Always in eval mode, weights frozen, never inside a checkpoint, differentiable in the audio.

    Attributes:
        sample_rate: Hz of the audio it takes.
        margin: frames on either side that one frame of output depends on.
        normalised: whether content features are brought to zero mean and unit variance within a file, because the
            singer would show in them: not, each channel, or to zero mean each and unit variance together.
    """

    sample_rate: int
    margin: int
    normalised: Literal["no", "each", "together"] = "no"

    @abstractmethod
    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """Named layers (B, C, N) of audio (B, T), N = T // hop."""

    def hear(self, audio: Tensor, layer: str) -> Tensor:
        """One layer (B, C, N), by no more work than it takes."""
        return self(audio)[layer]

    @property
    @abstractmethod
    def identity(self) -> str:
        """Name, version and parameters; with the weights' hash it makes the key of a stored feature."""

    def freeze(self) -> Self:
        """Eval mode and no gradient for any weight; called at the end of a constructor."""
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stays in eval mode whatever is asked."""
        return super().train(False)

    def weight_hash(self) -> str:
        """SHA-256 of all weights, hexadecimal; tables that are computed, to the last bit of a machine, are none."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
