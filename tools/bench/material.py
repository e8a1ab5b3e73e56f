"""Inputs: synthetic or recorded singing, and random conditioning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio import files
from svc.audio.files import Audio
from svc.audio.resample import fit_length, resample
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import DataError
from svc.features.conditioning import Conditioning, phase_track
from svc.utils.units import FRAMES_PER_SECOND, seconds_to_frames

PERFORMANCES = 8  # that are looped
SPEAKERS = 12  # of a voice with random weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Sizes of the inputs: seconds of audio, unless another unit is given."""

    f0: float = 20.0
    content: float = 20.0
    generator: float = 10.0
    paper: float = 2.0
    song: float = 180.0
    phrases: int = 10  # of 4 s, by each of four singers
    training: Mapping[str, Any] = field(default_factory=dict)  # options that differ from svc/config/base.yaml

    @staticmethod
    def quick() -> "Sizes":
        """Small sizes for a test."""
        segments = {"train.batch_size": 2, "train.segment_seconds": 0.4, "train.discriminator_segment_seconds": 0.2}
        shorter = {"f0": 2.0, "content": 2.0, "generator": 2.0, "paper": 0.2, "song": 3.0}
        return Sizes(phrases=1, training=segments, **shorter)


@dataclass(frozen=True, slots=True)
class Singing:
    """Audio, and its true f0 (N,) in Hz, 0 where unvoiced, if available."""

    audio: Audio
    f0: NDArray[np.float64] | None


def sing(seconds: float, rate: int) -> Singing:
    """Synthetic singing by all singers in turn, looped."""
    turns = [(singer, number) for number in range(PERFORMANCES // len(SINGERS)) for singer in SINGERS]
    performances = []
    for singer, number in turns:
        performances.append(render(singer, phrase(number), rate))
        if sum(len(performance.f0) for performance in performances) >= seconds_to_frames(seconds):
            break
    samples = np.concatenate([performance.samples for performance in performances])
    curve = np.concatenate([performance.f0 for performance in performances])
    frames = seconds_to_frames(seconds)
    looped = np.resize(samples, frames * rate // FRAMES_PER_SECOND)
    return Singing(Audio(looped, rate), np.resize(curve, frames))


def recordings(folder: Path, seconds: float, rate: int = 16_000) -> Singing:
    """The first files below a folder, concatenated up to so many seconds.

    Raises:
        DataError: no files.
        AudioError: a file cannot be read.
    """
    paths = sorted(path for kind in ("*.wav", "*.flac") for path in folder.rglob(kind))
    if not paths:
        raise DataError(f"{folder}: no *.wav or *.flac below it; name a folder of recordings of one voice each")
    parts: list[NDArray[np.float32]] = []
    for path in paths:
        parts.append(resample(files.read(path), rate).samples)
        if sum(map(len, parts)) >= seconds * rate:
            break
    samples = np.concatenate(parts)
    frames = min(seconds_to_frames(seconds), len(samples) * FRAMES_PER_SECOND // rate)
    return Singing(Audio(fit_length(samples, frames * rate // FRAMES_PER_SECOND), rate), None)


def conditioning(seconds: float, channels: int, device: str, batch: int = 1) -> Conditioning:
    """Random conditioning: steady notes in an octave around 220 Hz, random content (B, C, N)."""
    frames, generator = seconds_to_frames(seconds), torch.Generator().manual_seed(0)
    notes = 220 * 2 ** (torch.rand(batch, 1, generator=generator) - 0.5)
    f0 = notes.expand(batch, frames).contiguous()
    return Conditioning(
        f0=f0,
        voiced=torch.ones(batch, frames),
        phase=torch.from_numpy(np.stack([phase_track(curve) for curve in f0.numpy()])),
        loudness=torch.full((batch, frames), -20.0),
        relative_loudness=torch.zeros(batch, frames),
        content=torch.randn(batch, channels, frames, generator=generator),
        speaker=torch.eye(SPEAKERS)[torch.arange(batch) % SPEAKERS],
        start_frame=torch.zeros(batch, dtype=torch.long),
    ).to(device)
