"""Identify speakers by the nearest time Gram: ``python recipes/identify_speakers.py SPEAKERS`` (vctk_identify, 2018).

Published, by the random CNN: 45.6 % of 30 VCTK speakers (270 / 180 clips), 92.5 % of 4 (240 / 160 clips).
Chorowski et al. (1712.08363), 30 speakers: 65 % by log-mel with deltas, about 95 % by a network trained with CTC.
"""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated

import librosa
import numpy as np
import torch
import typer
from torch import Tensor

from svc import cli, encoders
from svc.audio import files
from svc.audio.files import Audio
from svc.audio.find import find_audio
from svc.encoders.phone_classifier import log_mel, mel_bank
from svc.encoders.random_cnn import RandomCNN2d
from svc.style.gram import GramTarget
from svc.style.presets import make_config
from svc.style.transfer import log_spectrogram, normalise_level

Features = Callable[[Audio], Tensor]  # (D, N)
PUBLISHED = make_config("random-cnn-2d", {}, as_published=True)
RATE = 16_000  # Hz, of all other rows
STEPS = 14, 8  # of the random CNN's frames, and of those of 10 ms, one takes part: 12.5 each second


def main(
    speakers: Annotated[Path, typer.Argument(help="folder with one folder of clips for each speaker")],
    clips: Annotated[int, typer.Option(help="of each speaker; speakers with fewer are left out")] = 10,
    train: Annotated[int, typer.Option(help="of these to compare with")] = 6,
    seconds: Annotated[float, typer.Option(help="of each clip, at most")] = 10.0,
    seeds: Annotated[int, typer.Option(help="random networks")] = 5,
) -> None:
    """Print the accuracy of a nearest-neighbour search by features."""
    paths_of = {folder.name: list(islice(find_audio(folder), clips)) for folder in sorted(speakers.iterdir())}
    sounds = [
        (name, number < train, files.read(path).first(seconds))
        for name, paths in paths_of.items() if len(paths) == clips
        for number, path in enumerate(paths)
    ]  # fmt: skip
    names = sorted({name for name, _, _ in sounds})
    typer.echo(f"{len(names)} speakers, {len(sounds)} clips of {seconds} s, chance {1 / len(names):.0%}")
    rows: list[tuple[str, list[Features], bool]] = [
        ("log-mel", [_log_mel], True),
        ("log-mel + deltas", [_with_deltas], True),
        ("random CNN, as published", [_random_cnn(seed) for seed in range(seeds)], False),
        ("random CNN, Gram / frames", [_random_cnn(seed) for seed in range(seeds)], True),
        ("autoencoder layer2", [_encoder("autoencoder", "layer2")], True),
        ("phone classifier block2", [_encoder("phone-classifier", "block2")], True),
    ]
    for name, variants, divide in rows:
        scores = [accuracy(sounds, features, divide) for features in variants]
        typer.echo(f"| {name} | {np.mean(scores):.1%} ± {np.std(scores):.1%} | {json.dumps(scores)} |")


@torch.no_grad()
def accuracy(sounds: list[tuple[str, bool, Audio]], features: Features, divide: bool) -> float:
    """Share of the test clips whose nearest training clip is of the same speaker, by Σ (ΔG)²."""
    grams = []
    for name, is_train, audio in sounds:
        x = features(audio)
        grams.append((name, is_train, GramTarget(x, x.shape[1] if divide else 1.0, kernel=True)))
    right = []
    for name, is_train, one in grams:
        if not is_train:
            distances = {
                float(one.norm + other.norm - 2 * (one.y.T @ other.y).double().square().sum()): speaker
                for speaker, in_training, other in grams if in_training
            }  # fmt: skip
            right.append(distances[min(distances)] == name)
    return float(np.mean(right))


def _samples(audio: Audio) -> Tensor:
    return torch.from_numpy(normalise_level(audio, RATE)[1])[None]


def _log_mel(audio: Audio) -> Tensor:
    return _bands(audio)[:, :: STEPS[1]]


def _bands(audio: Audio) -> Tensor:
    return log_mel(_samples(audio), mel_bank())[0].T


def _with_deltas(audio: Audio) -> Tensor:
    bands = _bands(audio).numpy()
    deltas = [librosa.feature.delta(bands, order=order) for order in (1, 2)]
    return torch.from_numpy(np.concatenate([bands, *deltas]))[:, :: STEPS[1]]


def _random_cnn(seed: int) -> Features:
    network = RandomCNN2d(padding="valid", seed=seed)

    def features(audio: Audio) -> Tensor:
        spectrogram = log_spectrogram(normalise_level(audio, PUBLISHED.sample_rate)[1], PUBLISHED)
        return network.layers(spectrogram[..., :: STEPS[0]])["conv1"][0].flatten(0, 1)

    return features


def _encoder(name: str, layer: str) -> Features:
    return lambda audio: encoders.shared(name).layer(_samples(audio), layer)[0, :, :: STEPS[1]]


if __name__ == "__main__":
    cli.run(main)
