"""Validation clips: held-out clips, reconstructed and converted during training, with scores and spectrograms."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from svc.audio.plot import plot_spectrogram
from svc.config import Config
from svc.data.dataset import read_audio, read_features
from svc.data.manifest import Clip, Manifest
from svc.features.conditioning import Conditioning, one_hot
from svc.features.transpose import choose_transposition
from svc.losses.stft import limit_band, reconstruction_losses
from svc.models.generator import Generator
from svc.utils.units import FRAMES_PER_SECOND

MAX_FRAMES = 600  # of a clip


@dataclass(frozen=True, slots=True)
class ValidationClip:
    """A held-out clip.

    Attributes:
        name: of the file.
        speaker: name of its speaker.
        conditioning: of its own speaker.
        targets: conditioning of conversions, transposed, by the name of the target speaker.
        audio: (1, T), up to its band limit.
        band: (1,) Hz, the band limit.
    """

    name: str
    speaker: str
    conditioning: Conditioning
    targets: dict[str, Conditioning]
    audio: Tensor
    band: Tensor


@dataclass(frozen=True, slots=True)
class ValidationOutput:
    """Reconstruction (T,) of a clip, and its conversions (T,) by the name of the target speaker."""

    clip: ValidationClip
    reconstruction: Tensor
    conversions: dict[str, Tensor]


ScoreFn = Callable[[Sequence[ValidationOutput]], dict[str, float]]  # ``overall`` (0–1) chooses the best checkpoint


def select_clips(prepared: Manifest, config: Config) -> list[ValidationClip]:
    """``train.num_validation_clips`` held-out clips of as many speakers as possible, the same every time."""
    clips = sorted(prepared.split("valid"), key=lambda clip: clip.key)
    selected: list[Clip] = []
    while clips and len(selected) < config.train.num_validation_clips:
        speakers = [clip.speaker for clip in selected]
        clips.sort(key=lambda clip: (speakers.count(clip.speaker), clip.key))
        selected.append(clips.pop(0))
    return [_read_clip(prepared, clip, config) for clip in selected]


def _read_clip(prepared: Manifest, clip: Clip, config: Config) -> ValidationClip:
    cache, length = prepared.cache, min(clip.frames, MAX_FRAMES)
    names = [speaker.name for speaker in prepared.speakers]
    index = names.index(clip.speaker)
    others = [names[(index + offset) % len(names)] for offset in (1, 1 + len(names) // 2)]
    features = read_features(cache, clip, 0, length)
    conditioning = features.conditioning(one_hot(index, len(names)))
    targets = {}
    for name in others:
        if name != clip.speaker:
            target = prepared.speakers[names.index(name)]
            semitones = choose_transposition("auto", features.f0[features.voiced], target.range)
            converted = conditioning.transposed(semitones)
            targets[name] = converted.with_speaker(one_hot(names.index(name), len(names))[None])
    band = torch.tensor([prepared.band_limits(config)[clip.key]])
    audio = limit_band(read_audio(cache, clip, 0, length, config.hop), band, config.sample_rate)
    return ValidationClip(clip.path, clip.speaker, conditioning, targets, audio, band)


@torch.no_grad()
def synthesize(generator: Generator, clips: Sequence[ValidationClip], *, use_wavenet: bool) -> list[ValidationOutput]:
    """Reconstruct every clip, up to its band limit, and convert it."""
    device = next(generator.parameters()).device

    def render(conditioning: Conditioning) -> Tensor:
        return generator(conditioning.to(device), use_wavenet).cpu()

    outputs = []
    for clip in clips:
        reconstruction = limit_band(render(clip.conditioning), clip.band, FRAMES_PER_SECOND * generator.hop)[0]
        outputs.append(ValidationOutput(clip, reconstruction, {name: render(c)[0] for name, c in clip.targets.items()}))
    return outputs


def spectral_score(outputs: Sequence[ValidationOutput], config: Config) -> dict[str, float]:
    """``spectral``, the mean STFT loss of the reconstructions, and ``overall`` = 1 / (1 + spectral)."""
    spectral = math.inf
    if outputs:
        audio = [(output.reconstruction[None], output.clip.audio) for output in outputs]
        rate = config.sample_rate
        losses = [reconstruction_losses(fake=f, real=r, config=config.loss, sample_rate=rate) for f, r in audio]
        spectral = float(np.mean([float(loss["spectral"]) for loss in losses]))
    return {"spectral": spectral, "overall": 1 / (1 + spectral)}


def plot_output(output: ValidationOutput, config: Config) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Image (height, width, 3): spectrograms of original, reconstruction and conversions with their reference f0."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    clip = output.clip
    rows = {
        f"{clip.speaker}, original": (clip.audio[0], clip.conditioning),
        f"{clip.speaker}, reconstruction": (output.reconstruction, clip.conditioning),
    }
    rows |= {f"to {name}": (audio, clip.targets[name]) for name, audio in output.conversions.items()}
    figure = Figure(figsize=(10, 2.2 * len(rows)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    all_axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axes, (title, (audio, conditioning)) in zip(all_axes, rows.items(), strict=True):
        f0 = torch.where(conditioning.voiced > 0, conditioning.f0, 0)[0].numpy()
        plot_spectrogram(axes, audio.numpy(), config.sample_rate, f0, title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
