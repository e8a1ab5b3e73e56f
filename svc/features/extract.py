"""Feature extraction: f0, voicing, A-weighted loudness and content of a recording, in one pass."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from svc import encoders
from svc.audio.chunks import iter_chunks, iter_overlapping
from svc.audio.files import Audio
from svc.audio.stft import a_weighted_loudness
from svc.config import Config
from svc.config.schema import FeaturesConfig
from svc.encoders.base import Encoder
from svc.features import content, f0, f0_refinement
from svc.features.conditioning import Conditioning, fill_unvoiced, phase_track

VERSION = 6  # of the extraction below; part of every key in the store
E = TypeVar("E", bound=Encoder)
Progress = Callable[[str, int], object]  # name of a stage, and the number of frames it has done

MAX_OFFSET = 2e-3  # of full scale; pauses of good recordings are not much softer
_CHUNK, _MARGIN = 6_000, 2  # frames of loudness at a time, and those of its window on either side


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a file, N frames of 10 ms."""

    f0: NDArray[np.float32]  # (N,) Hz, positive also in unvoiced frames
    voiced: NDArray[np.bool_]  # (N,)
    loudness: NDArray[np.float32]  # (N,) dB
    relative_loudness: NDArray[np.float32]  # (N,) dB above ``median_voiced_level``
    content: NDArray[np.float32]  # (C, N)

    def conditioning(self, speaker: torch.Tensor) -> Conditioning:
        """A batch of one for a speaker (S,), or (S, N) where that changes."""
        return Conditioning(
            f0=torch.from_numpy(self.f0)[None],
            voiced=torch.from_numpy(self.voiced).float()[None],
            phase=torch.from_numpy(phase_track(self.f0))[None],
            loudness=torch.from_numpy(self.loudness)[None],
            relative_loudness=torch.from_numpy(self.relative_loudness)[None],
            content=torch.from_numpy(self.content)[None],
            speaker=speaker[None],
            start_frame=torch.zeros(1, dtype=torch.long),
        )


class FeatureExtractor:
    """The frozen networks of a configuration on a device, and what they extract.

    On the CPU the networks are those that the whole process shares; on another device they are copies of its own.

    Raises:
        WeightsError: the weights of an encoder are not there, or damaged.
    """

    def __init__(self, config: Config, device: str | torch.device = "cpu"):
        self.config, self.device = config, torch.device(device)
        self.crepe = [self._place(network) for network in f0.crepe_models(config.features.f0)]
        self.encoder = self._place(encoders.shared(config.features.content.encoder))

    def _place(self, network: E) -> E:
        return network if self.device.type == "cpu" else copy.deepcopy(network).to(self.device)

    def extract(
        self, audio: Audio, curve: NDArray[np.float32] | None = None, progress: Progress = lambda _stage, _frames: None
    ) -> Features:
        """Features of a recording at a rate that is a multiple of 100 Hz.

        A curve (N,) in Hz, 0 for unvoiced, is taken as f0; without one CREPE tracks it.
        """
        audio = without_offset(audio)
        frames = len(audio.samples) * 100 // audio.rate
        level = measure_loudness(audio)
        if curve is None:
            options = self.config.features.f0
            audible = f0.above_silence(level, options)
            tracked = f0.track(audio, frames, options, lambda done: progress("f0", done), audible, self.crepe)
            pitch, periodicity = tracked
            voiced = f0.voicing(periodicity, level, options)
        else:
            pitch, voiced = curve, curve > 0
        layer = self.config.features.content.layer
        features = content.extract(
            self.encoder, layer, audio, frames, level, progress=lambda done: progress("content", done)
        )
        relative = level - median_voiced_level(level, voiced)
        return Features(fill_unvoiced(pitch, voiced), voiced, level, relative, features)

    def perturbed_content(self, audio: Audio, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """Perturbed content (W, C, N), one for each perturbation factor, of audio of a level (N,) in dB."""
        options, audio = self.config.features.content, without_offset(audio)
        perturbed = [
            content.extract(self.encoder, options.layer, audio, len(level), level, factor)
            for factor in options.perturbation_factors
        ]
        empty = np.zeros((0, content.channels(options), len(level)), dtype=np.float32)
        return np.stack(perturbed) if perturbed else empty


def without_offset(audio: Audio) -> Audio:
    """The same without a DC offset, if there is one: windows leak it into the bins above, and pauses are not silent."""
    offset = audio.samples.mean(dtype=np.float64) if len(audio.samples) else 0.0
    return Audio(audio.samples - np.float32(offset), audio.rate) if abs(offset) > MAX_OFFSET else audio


def shared_extractor(config: Config, device: str = "cpu") -> FeatureExtractor:
    """The extractor of a configuration on a device, made once a process."""
    return _shared_extractor(config.sample_rate, config.features, device)


@lru_cache(maxsize=2)
def _shared_extractor(sample_rate: int, features: FeaturesConfig, device: str) -> FeatureExtractor:
    return FeatureExtractor(Config(sample_rate=sample_rate, features=features), device)


def median_voiced_level(loudness: NDArray[np.float32], voiced: NDArray[np.bool_]) -> np.float32:
    """Median level in dB of the voiced frames (N,) within 40 dB of the loudest; of all of these if none is voiced."""
    active = loudness >= loudness.max(initial=-np.inf) - content.ACTIVE
    singing = active & voiced
    return np.float32(np.median(loudness[singing if singing.any() else active]))


def measure_loudness(audio: Audio) -> NDArray[np.float32]:
    """A-weighted level (N,) of audio at any rate that has a whole number of samples in a frame, in dB."""
    hop = audio.rate // 100
    levels = np.empty(len(audio.samples) // hop, dtype=np.float32)
    for block, samples in iter_overlapping(iter_chunks(audio.samples), hop, len(levels), _CHUNK, _MARGIN):
        level = a_weighted_loudness(torch.from_numpy(samples)[None], audio.rate)[0]
        levels[block.core] = level[block.core_slice].numpy()
    return levels


def feature_fingerprint(config: Config) -> dict[str, object]:
    """All that the features depend on besides the audio: names, versions, parameters, hashes of weights."""
    networks = [part for own in f0.crepe_models(config.features.f0) for part in (own.cache_key, own.weight_hash())]
    encoder = encoders.shared(config.features.content.encoder)
    return {
        "version": VERSION,
        "sample_rate": config.sample_rate,
        "f0": [*networks, f0_refinement.CACHE_KEY, repr(config.features.f0)],
        "content": [encoder.cache_key, encoder.weight_hash(), encoder.normalization, repr(config.features.content)],
    }


def changed_features(old: Mapping[str, object], config: Config) -> list[str]:
    """Names of what differs between the fingerprint of existing features and that of a configuration."""
    return [name for name, value in feature_fingerprint(config).items() if old.get(name) != value]
