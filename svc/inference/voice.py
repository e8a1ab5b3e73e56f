"""Voice file: one safetensors file with averaged (EMA) generator weights, and the rest as JSON in its header.

Reading, changing and writing one needs no torch; ``VoiceFile.generator`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from svc.errors import ConfigError, WeightsError, os_errors_as
from svc.features.training_data import TrainingData
from svc.inference.voice_header import MAX_SPEAKERS, VoiceHeader, VoiceSpeaker, read_header
from svc.models.weight_names import SPEAKER_PARAM_NAMES
from svc.utils.atomic import write_bytes

if TYPE_CHECKING:  # needs torch
    from svc.config import Config
    from svc.models.generator import Generator

__all__ = ["MAX_SPEAKERS", "VoiceFile", "VoiceHeader", "VoiceSpeaker"]

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class VoiceFile(VoiceHeader):
    """A voice: its header, and the weights of the generator by name."""

    weights: Weights

    @cached_property
    def generator(self) -> Generator:
        """The network, in eval mode, on the CPU; it shares its memory with the weights.

        Raises:
            WeightsError: the weights are not those of the network that the config describes.
        """
        from svc.inference.network import build_generator

        return build_generator(self)

    @staticmethod
    def of(
        generator: Generator, config: Config, speakers: tuple[VoiceSpeaker, ...], card: Mapping[str, str], encoder: str,
        next_speaker_id: int, training_data: TrainingData | None = None,
    ) -> VoiceFile:  # fmt: skip
        """The voice of a generator; the rest as ``VoiceHeader``."""
        return VoiceFile(
            config=config, content_channels=generator.content_channels, speakers=speakers, card=dict(card),
            encoder=encoder, next_speaker_id=next_speaker_id, training_data=training_data or TrainingData(), weights={},
        ).with_generator(generator)  # fmt: skip

    def with_generator(self, generator: Generator, **changes: Any) -> VoiceFile:
        """The voice with another generator, and with other changes to its header."""
        weights = {name: value.detach().cpu().contiguous().numpy() for name, value in generator.state_dict().items()}
        voice = replace(self, weights=weights, **changes)
        vars(voice)["generator"] = generator
        return voice

    def save(self, path: Path, *, half: bool = False) -> None:
        """Write the file, with 16-bit weights if ``half``; it appears whole or not at all.

        Raises:
            WeightsError: the folder cannot be written.
        """
        with os_errors_as(WeightsError, path, "cannot be written", "choose another -o"):
            dtype = np.float16 if half else np.float32
            weights = {name: value.astype(dtype) for name, value in self.weights.items()}
            write_bytes(path, save(weights, metadata={"svc": self.to_json()}))

    @staticmethod
    def read(path: Path) -> VoiceFile:
        """Read a voice file without torch; the weights are compared with the network when ``generator`` is built.

        Raises:
            WeightsError: it is missing, not a voice, damaged, or its header is not consistent.
        """
        header = read_header(path)
        try:
            with safe_open(path, framework="numpy") as stored:
                weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, TypeError) as error:  # types that NumPy does not have
            raise WeightsError(f"{path}: damaged ({error}); get another copy") from None
        for name, value in weights.items():
            if value.dtype not in (np.float16, np.float32) or not np.isfinite(value).all():
                raise WeightsError(f"{path}: {name} holds values that are not numbers or of the wrong type; "
                                   "get another copy")  # fmt: skip
        if any(weights.get(name, np.empty(0)).shape[:1] != (len(header.speakers),) for name in SPEAKER_PARAM_NAMES):
            raise WeightsError(f"{path}: refused, its weights are of other speakers; get another copy")
        weights = {name: value.astype(np.float32, copy=False) for name, value in weights.items()}
        return VoiceFile(**vars(header), weights=weights)

    @staticmethod
    def load(path: Path) -> VoiceFile:
        """Read a voice file and build its generator.

        Raises:
            WeightsError: it is missing, not a voice, damaged, or not consistent.
        """
        voice = VoiceFile.read(Path(path))
        try:
            _ = voice.generator
        except (WeightsError, ConfigError) as error:
            raise WeightsError(f"{path}: refused, {error}; get another copy") from None
        return voice
