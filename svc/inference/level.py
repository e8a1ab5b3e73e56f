"""Level correction: the A-weighted level of a conversion follows that of its source, voiced or not."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from svc.audio.chunks import iter_overlapping
from svc.audio.files import Samples
from svc.audio.stft import WINDOW_FRAMES, a_weighted_loudness
from svc.utils.units import FRAMES_PER_SECOND, hop_samples

TOLERANCE = 3.0  # dB by which the level may differ
MAX_GAIN = 40.0  # dB
SMOOTHING = 20  # frames on either side over which power is averaged
SILENCE = -70.0  # dB; what is below it is not raised
MARGIN = SMOOTHING + WINDOW_FRAMES  # frames on either side that the gain of a frame depends on
CHUNK = 10 * FRAMES_PER_SECOND  # frames


def match_level(stream: Iterable[Samples], rate: int, loudness: NDArray[np.float32]) -> Iterator[Samples]:
    """Rendered audio whose level is brought to within 3 dB of the level it was rendered from.

    The generator is trained to render the level it is conditioned on, and does not where it was trained on little,
    as on whispers. Parts of any length give the same samples.

    Args:
        stream: audio (T,) in parts.
        rate: Hz.
        loudness: (N,) dB that it was rendered from.
    """
    for block, samples in iter_overlapping(stream, hop_samples(rate), len(loudness), CHUNK, MARGIN):
        gain = level_gain(torch.from_numpy(samples)[None], rate, torch.from_numpy(loudness[block.with_context])[None])
        hop = hop_samples(rate)
        core = slice(block.core_slice.start * hop, block.core_slice.stop * hop)
        yield samples[core] * gain[0].numpy()[core]


def level_gain(audio: torch.Tensor, rate: int, loudness: torch.Tensor) -> torch.Tensor:
    """Gain (B, T) that brings audio (B, T) to within 3 dB of a level (B, N) in dB, both over .4 s."""
    wanted, actual = (_smooth(level) for level in (loudness, a_weighted_loudness(audio, rate)))
    difference = wanted - actual
    gain = (difference - difference.clamp(-TOLERANCE, TOLERANCE)).clamp(-MAX_GAIN, MAX_GAIN)
    hop = hop_samples(rate)
    steps = functional.interpolate(gain[:, None], size=gain.shape[-1] * hop, mode="linear")[:, 0]
    return 10 ** (steps / 20)


def _smooth(level: torch.Tensor) -> torch.Tensor:
    """Level (B, N) in dB of the mean power around every frame, and of silence besides."""
    window = torch.hann_window(2 * SMOOTHING + 1, periodic=False, dtype=level.dtype)
    power = functional.conv1d(10 ** (level[:, None] / 10), (window / window.sum())[None, None], padding=SMOOTHING)
    return 10 * torch.log10(power[:, 0] + 10 ** (SILENCE / 10))
