"""Layers of a frozen encoder as a function of the spectrogram that is optimised."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from svc import encoders
from svc.encoders import phone_classifier
from svc.encoders.phone_classifier import PhoneEncoder
from svc.encoders.random_cnn import RandomCNN1d, RandomCNN2d
from svc.encoders.spectrogram import SpectrogramEncoder, magnitude
from svc.errors import DataError
from svc.style.presets import StyleConfig

Layers = Mapping[str, Tensor]


def make_layers(config: StyleConfig) -> Callable[[Tensor], Layers]:
    """The layers of an encoder as a function of log(1 + |STFT|) (1, bins, N); random ones are not padded.

    Raises:
        DataError: it does not take spectrograms, or is of another STFT.
        WeightsError: its weights are not there.
    """
    if config.encoder == "random-cnn-1d":
        return RandomCNN1d(config.filters, config.fft // 2 + 1, padding="valid", seed=config.seed).layers
    if config.encoder == "random-cnn-2d":
        return RandomCNN2d(config.kernel_frames, padding="valid", seed=config.seed).layers
    names = [name for name, cls in encoders.classes().items() if issubclass(cls, SpectrogramEncoder | PhoneEncoder)]
    if config.encoder not in names:
        raise DataError(f"--set encoder={config.encoder}: takes no spectrograms; give one of {', '.join(names)}")
    if config.weights in ("", "random"):
        encoder = encoders.load(config.encoder, random_weights=config.weights == "random")
    else:
        encoder = encoders.classes()[config.encoder](Path(config.weights))
    layers: Callable[[Tensor], Layers]
    if isinstance(encoder, SpectrogramEncoder):
        expected, layers = (encoder.sample_rate, encoder.window, encoder.fft), encoder.layers
    else:
        assert isinstance(encoder, PhoneEncoder)
        expected = 16_000, phone_classifier.WINDOW, phone_classifier.FFT
        layers = partial(_phone_layers, encoder)
    if expected != (config.sample_rate, config.window, config.fft):
        raise DataError(f"{config.encoder} takes sample_rate, window, fft of {expected}; set these")
    return layers


def _phone_layers(encoder: PhoneEncoder, spectrogram: Tensor) -> Layers:
    """``log_mel``, ``block1`` … and ``embedding`` (1, C, N) of the phone classifier."""
    power = magnitude(spectrogram).square() * (4 / phone_classifier.WINDOW) ** 2
    bands = torch.log(power.transpose(1, 2) @ encoder.bank + phone_classifier.FLOOR)
    bands = (bands - phone_classifier.MEAN) / phone_classifier.SPREAD
    blocks, embedding, _ = encoder.model(bands)
    outputs = {"log_mel": bands, "embedding": embedding} | {f"block{n}": block for n, block in enumerate(blocks, 1)}
    return {name: output.transpose(1, 2) for name, output in outputs.items()}
