"""Generator of a voice file, with a limit on what a config from others may allocate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from svc.config import from_tree, to_tree
from svc.errors import WeightsError
from svc.features.content import channels
from svc.models.generator import Generator

if TYPE_CHECKING:
    from svc.inference.voice import VoiceFile
    from svc.inference.voice_header import VoiceHeader

BUFFERS = 1 << 20  # numbers that a network may hold beyond its weights
DIFFERENT = "its weights are not those of its config"


class _AllocationLimit(TorchFunctionMode):
    """Raises as soon as more numbers are allocated than allowed; ``torch.empty`` has not touched the memory by then.

    The meta device would tell the shapes as well, but to fill tensors there torch imports its compiler.
    """

    def __init__(self, numbers: int):
        super().__init__()
        self.left = numbers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, arguments = func(*args, **(kwargs or {})), [*args, *(kwargs or {}).values()]
        if isinstance(result, Tensor) and not any(isinstance(argument, Tensor) for argument in arguments):
            self.left -= result.numel()
            if self.left < 0:
                raise WeightsError(DIFFERENT)
        return result


def average_speaker(voice: VoiceHeader) -> Tensor:
    """Weights (S,) of the average speaker for guidance: speakers of the training alike.

    So a fitted speaker changes nobody; to remove one of the training changes the average.
    """
    trained = torch.tensor([float(speaker.kind == "trained") for speaker in voice.speakers])
    return trained / trained.sum() if trained.any() else torch.full_like(trained, 1 / len(trained))


def build_generator(voice: VoiceFile) -> Generator:
    """The generator in eval mode, its weights frozen and in the memory of ``voice.weights``.

    Raises:
        ConfigError: an option is out of range.
        WeightsError: the weights are not those of the network that the config describes.
    """
    config = from_tree(to_tree(voice.config))
    if voice.content_channels != channels(config.features.content):
        raise WeightsError("its content features have another number of channels")
    try:
        with _AllocationLimit(sum(value.size for value in voice.weights.values()) + BUFFERS):
            generator = Generator(
                config, content_channels=voice.content_channels, num_speakers=len(voice.speakers)
            )  # fmt: skip
        weights = {name: torch.from_numpy(value) for name, value in voice.weights.items()}
        generator.load_state_dict(weights, assign=True)
    except RuntimeError:
        raise WeightsError(DIFFERENT) from None
    return generator.eval().requires_grad_(False)
