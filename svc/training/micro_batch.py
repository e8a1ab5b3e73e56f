"""Micro batches of a step: segments, their conversions, second samples, and random windows.

What is sampled for a segment depends on its index in the whole batch of the step, not on the process or micro batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from svc.config import Config
from svc.data.batch import Batch
from svc.features.conditioning import Conditioning, select_items
from svc.losses.perceptual import LossInputs
from svc.losses.stft import limit_band
from svc.training.virtual_speakers import evenly_spaced, sample_speakers, with_other_speakers

MIN_LEVEL = 1e-3  # RMS of a segment that is normalised; softer ones are silence
DISCRIMINATOR = "discriminator"  # its window in a micro batch


@dataclass(slots=True)
class MicroBatch:
    """B segments, of which K are also converted to other speakers.

    Attributes:
        audio: (B, T) recorded audio, up to its band limit.
        conditioning: (B + K, …) of the segments, then of their conversions.
        converted_from: indices of the K segments that are converted.
        second_conditioning: of the B segments with other noise and phase, for the energy distance.
        band: (B + K,) Hz, what the recording of each segment holds up to.
        windows: samples of each segment for the discriminator and each loss, by name.
        fake: (B + K, T) output of the generator, or log envelopes (B + K, N, 2, P), where it serves both updates.
        judged: what the discriminator sees of it, and of the recordings.
    """

    audio: Tensor
    conditioning: Conditioning
    converted_from: list[int]
    second_conditioning: Conditioning | None
    band: Tensor
    windows: Mapping[str, slice]
    fake: Tensor | None = None
    judged: tuple[Tensor, Tensor] | None = None

    def normalised_window(self, fake: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Window of generated (B + K, T) and of real audio, divided by the RMS level of the real one.

        At the level of a recording a discriminator sees little but its own biases and stays at chance.
        """
        window = self.windows[name]
        real = self.audio[:, window]
        level = rms_level(real)
        if self.converted_from:
            level_of_fake = torch.cat([level, select_items(level, self.converted_from)])
            return fake[:, window] / level_of_fake, real / level
        return fake[:, window] / level, real / level

    def loss_inputs(self, fake: Tensor, name: str) -> LossInputs:
        """Inputs of a perceptual loss from generated audio (B + K, T)."""
        windowed, real = self.normalised_window(fake, name)
        hop = self.audio.shape[1] // self.conditioning.frames
        frames = slice(self.windows[name].start // hop, self.windows[name].stop // hop)
        voiced = self.conditioning.voiced[: len(self.audio), frames] > 0
        return LossInputs(windowed, real, self.converted_from, self.conditioning.speaker, voiced)


def rms_level(audio: Tensor) -> Tensor:
    """RMS level (B, 1) of audio (B, T), with a floor: silence is not amplified."""
    return audio.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(MIN_LEVEL)


def sample_micro_batches(
    batch: Batch,
    config: Config,
    window_seconds: Mapping[str, float] | None,
    rank: int = 0,
    world: int = 1,
    *,
    convert: bool | None = None,
) -> list[MicroBatch]:
    """Sample the micro batches of a step from torch's global random number generator.

    The processes share the batch of the step equally. ``window_seconds`` is the window of each perceptual loss; None
    while only the reconstruction is trained. Segments are converted if there are windows, or as ``convert`` says.
    """
    count, speakers = batch.conditioning.speaker.shape
    draw = sample_speakers(count * world, speakers, config.virtual_speakers)
    windows: dict[str, slice] = {}
    convert = window_seconds is not None if convert is None else convert
    share = config.virtual_speakers.fraction if convert and speakers > 1 else 0.0
    if window_seconds is not None:
        seconds = {DISCRIMINATOR: config.train.discriminator_segment_seconds, **window_seconds}
        windows = {name: _random_window(length, config) for name, length in seconds.items()}
    parts = batch.micro_batches(config.train.gradient_accumulation_steps)
    size = count // len(parts)
    sources = evenly_spaced(share, size)
    micro_batches = []
    for number, part in enumerate(parts):
        first = rank * count + number * size
        own = draw.select(slice(first, first + size))
        conditioning, band = part.conditioning, part.band
        if sources:
            other = select_items(part.other_speaker, sources)
            converted = with_other_speakers(conditioning.select(sources), other, own.select(sources))
            conditioning, band = Conditioning.stack([conditioning, converted]), torch.cat([band, band[sources]])
        second = part.conditioning.with_new_noise(own.phase_offset) if config.loss.energy_repulsion else None
        audio = limit_band(part.audio, part.band, config.sample_rate)
        micro_batches.append(MicroBatch(audio, conditioning, sources, second, band, windows))
    return micro_batches


def _random_window(seconds: float, config: Config) -> slice:
    frames = config.clamp_to_segment(seconds)
    first = int(torch.randint(config.segment_frames - frames + 1, ()))
    return slice(first * config.hop, (first + frames) * config.hop)
