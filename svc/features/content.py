"""Content features (phonetic): from a frozen encoder at 100 Hz, normalised per file, plain or perturbed."""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from svc import encoders
from svc.audio.chunks import iter_chunks, iter_overlapping
from svc.audio.files import Audio, Samples
from svc.audio.resample import resample_stream, resampled_length
from svc.config import ContentConfig
from svc.encoders.base import Encoder
from svc.utils.units import db_to_gain

Features = NDArray[np.float32]

CHUNK = 3_000  # frames
LEVEL = -20.0  # dB that the loudest frame is brought to, so that a recording's level changes nothing
ACTIVE = 40.0  # dB below the loudest frame; quieter frames do not count in the normalisation
MIN_DEVIATION = 0.35  # over time relative to that between channels: recordings have .38 to 3, a vowel of 20 s has .14
_GROUP = 16  # channels


def channels(config: ContentConfig) -> int:
    """C of the content features of a configuration."""
    return encoders.classes()[config.encoder].channels[config.layer]


@cache
def encoder_fingerprint(config: ContentConfig) -> str:
    """Which encoder gives the content, with which weights: features of another mean something else."""
    return encoders.shared(config.encoder).fingerprint()


def extract(
    encoder: Encoder,
    layer: str,
    audio: Audio,
    frames: int,
    loudness: NDArray[np.float32],
    warp: float = 1.0,
    progress: Callable[[int], object] = lambda _: None,
) -> Features:
    """Content features of every frame; if the encoder needs it, with zero mean and unit variance over active frames.

    A warp plays the audio ``warp`` times faster to the encoder, which moves pitch and formants by that factor, as
    another vocal tract would, and stretches the result back onto the clock. In training it hides the speaker from the
    generator (after the vocal-tract length perturbation of Jaitly and Hinton 2013).

    The loudness (N,) in dB tells active frames; progress is called with the number of frames done, 0 first and N last.

    Returns:
        (C, N).
    """
    effective_rate = round(audio.rate * warp)
    gain = _gain(loudness)
    levelled = (part * gain for part in iter_chunks(audio.samples))
    samples = resample_stream(levelled, effective_rate, encoder.sample_rate)
    length = resampled_length(len(audio.samples), effective_rate, encoder.sample_rate)
    encoded = _encode(encoder, layer, samples, length, progress)
    features = encoded if warp == 1.0 and encoded.shape[1] == frames else _resample_frames(encoded, frames, warp)
    features = features.astype(np.float32, copy=False)
    if encoder.normalization != "none":
        mean, variance = _statistics(features, loudness >= loudness.max(initial=-np.inf) - ACTIVE)
        features -= mean
        features /= deviation(encoder, mean, variance)
    progress(frames)
    return features


def normalise_level(audio: Audio, loudness: NDArray[np.float32]) -> Audio:
    """Audio at the level for encoders: the loudest of its frames, by loudness (N,) in dB, is at −20 dB."""
    return Audio(audio.samples * _gain(loudness), audio.rate)


def encode(encoder: Encoder, layer: str, samples: NDArray[np.float32]) -> Features:
    """One layer (C, N) of audio (T,) at the encoder's rate, in chunks of constant memory.

    They join exactly where the encoder's view is finite.
    """
    return _encode(encoder, layer, iter_chunks(samples), len(samples), lambda _: None)


def _encode(
    encoder: Encoder, layer: str, samples: Iterable[Samples], length: int, progress: Callable[[int], object]
) -> Features:
    """``encode`` audio that comes in parts, so many samples in all."""
    hop = encoder.sample_rate // 100
    total = max(1, -(-length // hop))
    device = next(chain(encoder.parameters(), encoder.buffers())).device
    features: Features | None = None
    for block, piece in iter_overlapping(samples, hop, total, CHUNK, encoder.margin):
        progress(block.core.start)
        with torch.inference_mode():
            layers = encoder.layer(torch.from_numpy(piece)[None].to(device), layer)[0].cpu().numpy()
        if features is None:
            features = np.empty_like(layers, shape=(len(layers), total))
        features[:, block.core] = layers[:, block.core_slice]
    assert features is not None
    return features


def _gain(loudness: NDArray[np.float32]) -> np.float32:
    return np.float32(db_to_gain(LEVEL - float(loudness.max(initial=LEVEL - 80))))


def _statistics(features: Features, active: NDArray[np.bool_]) -> tuple[Features, Features]:
    """Mean and variance (C, 1) over the active frames, of a few channels at a time: a copy of hours would be large."""
    mean, variance = np.empty((2, len(features), 1), dtype=np.float32)
    for first in range(0, len(features), _GROUP):
        voice = features[first : first + _GROUP][:, active]
        mean[first : first + _GROUP] = voice.mean(axis=1, keepdims=True)
        variance[first : first + _GROUP] = voice.var(axis=1, keepdims=True)
    return mean, variance


def deviation(encoder: Encoder, mean: NDArray[np.floating], variance: NDArray[np.floating]) -> NDArray[np.floating]:
    """Standard deviations that content is divided by, from its means and variances (C, 1) over time.

    A held vowel has next to none of its own: divided by that, its noise would become phones, its onset an explosion.
    """
    if encoder.normalization == "global_variance":
        return np.maximum(np.sqrt(variance.mean(keepdims=True)), MIN_DEVIATION * mean.std())
    return np.maximum(np.sqrt(variance), 1e-3)


def _resample_frames(features: Features, frames: int, warp: float) -> Features:
    """Features of audio played ``warp`` times faster, read at the frame centres of the original."""
    position = (np.arange(frames) + 0.5) / warp - 0.5
    position = np.clip(position, 0, features.shape[1] - 1)
    left = np.floor(position).astype(int)
    right = np.minimum(left + 1, features.shape[1] - 1)
    share = (position - left).astype(np.float32)
    return features[:, left] * (1 - share) + features[:, right] * share
