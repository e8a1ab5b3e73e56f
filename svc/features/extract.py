"""All features of a file in one pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.chunks import overlapping, parts
from svc.audio.files import Audio
from svc.audio.weighting import loudness as weigh
from svc.config import Config
from svc.features import content, f0, f0_refinement
from svc.features.conditioning import Conditioning, hold, phase_track

VERSION = 4  # of the extraction below; part of every key in the store
_CHUNK, _MARGIN = 6_000, 2  # frames of loudness at a time, and those of its window on either side


@dataclass(frozen=True, slots=True)
class Features:
    """A file on the clock, N frames.

    Attributes:
        f0: (N,) Hz, held through unvoiced frames.
        voiced: (N,).
        loudness: (N,) dB.
        effort: (N,) dB by which that is above what is usual in the file, see ``usual``.
        content: (C, N).
    """

    f0: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    loudness: NDArray[np.float32]
    effort: NDArray[np.float32]
    content: NDArray[np.float32]

    def conditioning(self, singer: torch.Tensor) -> Conditioning:
        """A batch of one, sung by somebody (S,), or (S, N) where that changes."""
        return Conditioning(
            f0=torch.from_numpy(self.f0)[None],
            voiced=torch.from_numpy(self.voiced).float()[None],
            phase=torch.from_numpy(phase_track(self.f0))[None],
            loudness=torch.from_numpy(self.loudness)[None],
            effort=torch.from_numpy(self.effort)[None],
            content=torch.from_numpy(self.content)[None],
            singer=singer[None],
            start=torch.zeros(1, dtype=torch.long),
        )


def extract(
    audio: Audio,
    config: Config,
    curve: NDArray[np.float32] | None = None,
    progress: Callable[[str, int], object] = lambda _stage, _frames: None,
) -> Features:
    """Features of a recording.

    Args:
        audio: at a rate that is a multiple of 100 Hz.
        config: features and sample rate.
        curve: f0 (N,) in Hz given by the user, 0 for unvoiced; tracked with CREPE if absent.
        progress: called with the name of a stage and the number of frames it has done.
    """
    frames = len(audio.samples) * 100 // audio.rate
    level = measure_loudness(audio)
    if curve is None:
        knobs = config.features.f0
        audible = f0.audible(level, knobs)
        pitch, periodicity = f0.track(audio, frames, knobs, lambda done: progress("f0", done), audible)
        voiced = f0.voicing(periodicity, level, knobs)
    else:
        pitch, voiced = curve, curve > 0
    words = content.extract(
        audio, frames, level, config.features.content, progress=lambda done: progress("content", done)
    )
    return Features(hold(pitch, voiced), voiced, level, level - usual(level, voiced), words)


def usual(loudness: NDArray[np.float32], voiced: NDArray[np.bool_]) -> np.float32:
    """The level in dB at which somebody sings: the median of the voiced frames (N,), of all where none is voiced.

    Counted are frames within 40 dB of the loudest.
    """
    active = loudness >= loudness.max(initial=-np.inf) - content.ACTIVE
    sung = active & voiced
    return np.float32(np.median(loudness[sung if sung.any() else active]))


def listen_on(device: str, config: Config) -> None:
    """Move the networks that listen to a device, for the rest of the process."""
    for network in f0.networks(config.features.f0):
        network.to(device)
    content.load(config.features.content.encoder).to(device)


def warped_content(audio: Audio, level: NDArray[np.float32], config: Config) -> NDArray[np.float32]:
    """Perturbed content (W, C, N) for training, one for each warp of the config."""
    knobs = config.features.content
    warped = [content.extract(audio, len(level), level, knobs, warp) for warp in knobs.warps]
    return np.stack(warped) if warped else np.zeros((0, content.channels(knobs), len(level)), dtype=np.float32)


def measure_loudness(audio: Audio) -> NDArray[np.float32]:
    """A-weighted level (N,) of audio at any rate that has a whole number of samples in a frame, in dB."""
    hop = audio.rate // 100
    levels = np.empty(len(audio.samples) // hop, dtype=np.float32)
    for block, samples in overlapping(parts(audio.samples), hop, len(levels), _CHUNK, _MARGIN):
        levels[block.kept] = weigh(torch.from_numpy(samples)[None], audio.rate)[0, block.inner].numpy()
    return levels


def identity(config: Config) -> dict[str, object]:
    """Everything the features depend on besides the audio: names, versions, parameters, hashes of weights."""
    listeners = [
        part for network in f0.networks(config.features.f0) for part in (network.identity, network.weight_hash())
    ]
    encoder = content.load(config.features.content.encoder)
    return {
        "version": VERSION,
        "sample_rate": config.sample_rate,
        "f0": [*listeners, f0_refinement.IDENTITY, repr(config.features.f0)],
        "content": [encoder.identity, encoder.weight_hash(), encoder.normalised, repr(config.features.content)],
    }


def differing(known: Mapping[str, object], config: Config) -> list[str]:
    """What features of a known identity depend on and this extraction has otherwise, by name."""
    return [name for name, value in identity(config).items() if known.get(name) != value]
