"""Loudness of a conversion: its A-weighted level follows that of its source, or is the speaker's or one in LUFS.

Torch is imported where it is needed: a typing error is found before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from svc.audio import lufs
from svc.audio.chunks import iter_chunks, iter_overlapping
from svc.audio.files import Samples
from svc.errors import DataError, WeightsError
from svc.inference.speaker_mix import SpeakerMix
from svc.utils.units import FRAMES_PER_SECOND, db_to_gain, hop_samples

if TYPE_CHECKING:
    from torch import Tensor

    from svc.features.conditioning import Conditioning

Loudness = float | Literal["source", "target"]  # a number is LUFS

MAX_PEAK = 0.99  # of full scale, of audio that would exceed it
LUFS_RANGE = (-70.0, 0.0)
TOLERANCE = 3.0  # dB by which the level may differ from the source's
MAX_GAIN = 40.0  # dB
SMOOTHING = 20  # frames on either side over which power is averaged
SILENCE = -70.0  # dB; what is below it is not raised
CHUNK = 10 * FRAMES_PER_SECOND  # frames


@dataclass(frozen=True, slots=True)
class Gain:
    """Gain of the output in dB."""

    gain_db: float = 0.0  # as applied
    limited_by_db: float = 0.0  # by how much it was reduced so that nothing clips

    def describe(self) -> str:
        """A line for the user; empty where the gain is 0."""
        if not self.gain_db:
            return ""
        if self.gain_db == -self.limited_by_db:
            return f"lowered by {self.limited_by_db:.1f} dB to avoid clipping"
        limited = f", {self.limited_by_db:.1f} dB less than requested to avoid clipping" if self.limited_by_db else ""
        return f"gain {self.gain_db:+.1f} dB{limited}"


def parse_loudness(text: str) -> Loudness:
    """``source``, ``target``, or LUFS as ``-14LUFS``.

    Raises:
        DataError: it is none of them.
    """
    word = text.strip().lower()
    if word == "source":
        return "source"
    if word == "target":
        return "target"
    try:
        value = float(word.removesuffix("lufs"))
    except ValueError:
        value = math.nan
    if not LUFS_RANGE[0] <= value <= LUFS_RANGE[1]:
        low, high = LUFS_RANGE
        raise DataError(f"--loudness {text}: give source, target, or {low:g} to {high:g} LUFS as -14LUFS")
    return value


def check_level(loudness: Loudness, mix: SpeakerMix) -> None:
    """Refuse ``target`` for a speaker whose level was not measured.

    Raises:
        WeightsError: it was not.
    """
    if loudness == "target" and not mix.stats.level:
        raise WeightsError(f"--loudness target: the level of {mix.label} is not recorded; give LUFS as -14LUFS")


def choose_gain(loudness: Loudness, audio: Samples, rate: int, conditioning: Conditioning, mix: SpeakerMix) -> Gain:
    """The gain that brings converted audio to a loudness and leaves its peak below full scale.

    Args:
        loudness: see there.
        audio: (T,) or (T, 2) as it is written.
        rate: its rate in Hz.
        conditioning: it was rendered from; its level is the source's.
        mix: the target speaker.
    """
    wanted = 0.0
    if loudness == "target":
        from svc.features.extract import median_voiced_level

        voiced = conditioning.voiced[0].numpy() > 0
        wanted = mix.stats.level - float(median_voiced_level(conditioning.loudness[0].numpy(), voiced))
    elif loudness != "source" and math.isfinite(measured := lufs.integrated(audio, rate)):
        wanted = loudness - measured
    peak = max((float(np.abs(chunk).max()) for chunk in iter_chunks(audio)), default=0.0) * db_to_gain(wanted)
    limited = 20 * math.log10(peak / MAX_PEAK) if peak > 1 else 0.0
    return Gain(wanted - limited, limited)


def apply_gain(audio: Samples, gain: Gain) -> Iterable[Samples]:
    """Audio (T,) or (T, 2) with a gain, in chunks."""
    return (chunk * np.float32(db_to_gain(gain.gain_db)) for chunk in iter_chunks(audio))


def match_level(stream: Iterable[Samples], rate: int, loudness: NDArray[np.float32]) -> Iterator[Samples]:
    """Rendered audio whose level is brought to within 3 dB of the level it was rendered from.

    The generator is trained to render the level it is conditioned on, and does not where it was trained on little,
    as on whispers. Parts of any length give the same samples.

    Args:
        stream: audio (T,) in parts.
        rate: Hz.
        loudness: (N,) dB that it was rendered from.
    """
    import torch

    from svc.audio.stft import WINDOW_FRAMES

    hop = hop_samples(rate)
    margin = SMOOTHING + WINDOW_FRAMES  # frames on either side that the gain of a frame depends on
    for block, samples in iter_overlapping(stream, hop, len(loudness), CHUNK, margin):
        gain = _level_gain(torch.from_numpy(samples)[None], rate, torch.from_numpy(loudness[block.with_context])[None])
        core = slice(block.core_slice.start * hop, block.core_slice.stop * hop)
        yield samples[core] * gain[0].numpy()[core]


def _level_gain(audio: Tensor, rate: int, loudness: Tensor) -> Tensor:
    """Gain (B, T) that brings audio (B, T) to within 3 dB of a level (B, N) in dB, both over .4 s."""
    from torch.nn import functional

    from svc.audio.stft import a_weighted_loudness

    wanted, actual = (_smooth(level) for level in (loudness, a_weighted_loudness(audio, rate)))
    difference = wanted - actual
    gain = (difference - difference.clamp(-TOLERANCE, TOLERANCE)).clamp(-MAX_GAIN, MAX_GAIN)
    hop = hop_samples(rate)
    steps = functional.interpolate(gain[:, None], size=gain.shape[-1] * hop, mode="linear")[:, 0]
    return 10 ** (steps / 20)


def _smooth(level: Tensor) -> Tensor:
    """Level (B, N) in dB of the mean power around every frame, and of silence besides."""
    import torch
    from torch.nn import functional

    window = torch.hann_window(2 * SMOOTHING + 1, periodic=False, dtype=level.dtype)
    power = functional.conv1d(10 ** (level[:, None] / 10), (window / window.sum())[None, None], padding=SMOOTHING)
    return 10 * torch.log10(power[:, 0] + 10 ** (SILENCE / 10))
