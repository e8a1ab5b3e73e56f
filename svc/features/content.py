"""What is sung: content features on the clock, normalised per file, plain or perturbed."""

from dataclasses import replace
from functools import lru_cache
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.config import ContentConfig
from svc.encoders.base import Encoder
from svc.encoders.bundles import BUNDLES, Bundle
from svc.encoders.cepstral import CepstralEncoder
from svc.encoders.wav2letter import Wav2Letter
from svc.limits import LAYERS
from svc.units import db_to_gain

Features = NDArray[np.float32]

CHUNK = 3_000  # frames
LEVEL = -20.0  # dB that the loudest frame is brought to, so that a recording's level changes nothing
ACTIVE = 40.0  # dB below the loudest frame; quieter frames do not count in the normalisation


@lru_cache(maxsize=2)
def load(name: str) -> Encoder:
    """The encoder of that name, loaded once a process.

    Raises:
        WeightsError: its weights are not there, or damaged.
    """
    if name in BUNDLES:
        return Bundle(name)
    return {"cepstral": CepstralEncoder, "wav2letter": Wav2Letter}[name]()


def channels(config: ContentConfig) -> int:
    """C of the features that a configuration asks for."""
    return LAYERS[config.encoder][config.layer]


def stamp(config: ContentConfig) -> str:
    """Which encoder hears, with which weights: features of another mean something else."""
    encoder = load(config.encoder)
    return f"{encoder.identity} {encoder.weight_hash()}"


def extract(
    audio: Audio, frames: int, loudness: NDArray[np.float32], config: ContentConfig, warp: float = 1.0
) -> Features:
    """Content features of every frame; of encoders that need it, with zero mean and unit variance where somebody sings.

    A warp plays the audio ``warp`` times faster before the encoder hears it, which moves pitch and formants by
    that factor as another vocal tract would, and stretches the result back onto the clock. In training it hides
    the singer from the generator (after the vocal-tract-length perturbation of Jaitly and Hinton 2013).

    Args:
        audio: any rate.
        frames: N.
        loudness: (N,) dB, to tell active frames.
        config: encoder and layer.
        warp: 1 leaves the audio as it is.

    Returns:
        (C, N).
    """
    return heard(load(config.encoder), config.layer, audio, frames, loudness, warp)


def heard(
    encoder: Encoder, layer: str, audio: Audio, frames: int, loudness: NDArray[np.float32], warp: float = 1.0
) -> Features:
    """``extract`` by any encoder."""
    levelled = at_level(audio, loudness)
    encoded = encode(
        encoder, layer, resample(replace(levelled, rate=round(audio.rate * warp)), encoder.sample_rate).samples
    )
    features = encoded if warp == 1.0 and encoded.shape[1] == frames else _stretch(encoded, frames, warp)
    if encoder.normalised == "no":
        return features.astype(np.float32)
    active = loudness >= loudness.max(initial=-np.inf) - ACTIVE
    voice = features[:, active]
    mean, variance = voice.mean(axis=1, keepdims=True), voice.var(axis=1, keepdims=True)
    if encoder.normalised == "together":
        variance = variance.mean()
    return ((features - mean) / np.maximum(np.sqrt(variance), 1e-3)).astype(np.float32)


def at_level(audio: Audio, loudness: NDArray[np.float32]) -> Audio:
    """Audio as encoders hear it: the loudest of its frames, by loudness (N,) in dB, is at −20 dB."""
    gain = np.float32(db_to_gain(LEVEL - float(loudness.max(initial=LEVEL - 80))))
    return Audio(audio.samples * gain, audio.rate)


def encode(encoder: Encoder, layer: str, samples: NDArray[np.float32]) -> Features:
    """One layer (C, N) of audio (T,) at the encoder's rate, in chunks of constant memory.

    They join exactly where the encoder's view is finite.
    """
    hop = encoder.sample_rate // 100
    total = max(1, -(-len(samples) // hop))
    device = next(chain(encoder.parameters(), encoder.buffers())).device
    padded = torch.nn.functional.pad(torch.from_numpy(samples), (0, total * hop - len(samples)))
    parts = []
    with torch.inference_mode():
        for start in range(0, total, CHUNK):
            first, last = max(0, start - encoder.margin), min(total, start + CHUNK + encoder.margin)
            piece = encoder.hear(padded[None, first * hop : last * hop].to(device), layer)
            parts.append(piece[0, :, start - first : min(total, start + CHUNK) - first].cpu().numpy())
    return np.concatenate(parts, axis=1)


def _stretch(features: Features, frames: int, warp: float) -> Features:
    """Features of audio played ``warp`` times faster, read at the frame centres of the original."""
    position = (np.arange(frames) + 0.5) / warp - 0.5
    position = np.clip(position, 0, features.shape[1] - 1)
    left = np.floor(position).astype(int)
    right = np.minimum(left + 1, features.shape[1] - 1)
    share = (position - left).astype(np.float32)
    return features[:, left] * (1 - share) + features[:, right] * share
