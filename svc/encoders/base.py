"""The one shape of a frozen network (encoder)."""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from torch import Tensor, nn


class Encoder(nn.Module):
    """Audio (B, T) at ``sample_rate`` in, named layers (B, C, N) out, N = T // hop.

    Always in eval mode, weights frozen, never inside a checkpoint, differentiable in the audio.

    Attributes:
        name: in the registry.
        sample_rate: Hz of the audio it takes.
        hop: samples in a frame of output, 10 ms; None where it gives one vector for all of the audio, N = 1.
        channels: C of every layer, by name.
        min_samples: of audio that it can take.
        options: in words, where there are any: part of the cache key.
        margin: frames on either side that one frame of output depends on.
        normalization: how content features are brought to zero mean and unit variance within a file, because the
            speaker would show in them: not, each channel by its own variance, or all by the mean variance.
    """

    name: ClassVar[str]
    sample_rate: ClassVar[int] = 16_000
    hop: ClassVar[int | None] = 160
    channels: ClassVar[Mapping[str, int]]
    min_samples: ClassVar[int] = 0
    options: str = ""
    margin: int = 0
    normalization: Literal["none", "per_channel", "global_variance"] = "none"

    @abstractmethod
    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """Named layers (B, C, N) of audio (B, T)."""

    def layer(self, audio: Tensor, layer: str) -> Tensor:
        """One layer (B, C, N), by no more work than it takes."""
        return self(audio)[layer]

    @property
    def cache_key(self) -> str:
        """Name, version and parameters; with the weights' hash it makes the key of a stored feature."""
        return f"{self.name}/1 {self.options}".rstrip()

    def freeze(self) -> Self:
        """Eval mode and no gradient for any weight; called at the end of a constructor."""
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stays in eval mode whatever the argument."""
        return super().train(False)

    def fingerprint(self) -> str:
        """Which network this is, with which weights: features of another mean something else."""
        return f"{self.cache_key} {self.weight_hash()}"

    def weight_hash(self) -> str:
        """SHA-256 of all weights, hexadecimal; computed buffers are left out."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
