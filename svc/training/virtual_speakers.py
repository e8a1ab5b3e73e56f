"""Micro batches of a step: virtual target speakers (mixup of embeddings), phase and noise offsets, and windows.

What is sampled for a segment depends on its index in the whole batch of the step, not on the process or micro batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional

from svc.config import Config, VirtualSpeakersConfig
from svc.data.batch import Batch, evenly_spaced
from svc.features.conditioning import Conditioning
from svc.losses.band_limit import limit_band
from svc.losses.perceptual import LossInputs

NOISE_OFFSET = 2**31  # frames; no segment starts there
MIN_LEVEL = 1e-3  # RMS of a segment that is normalised; softer ones are silence
DISCRIMINATOR = "discriminator"  # its window in a micro batch


@dataclass(frozen=True, slots=True)
class SpeakerDraw:
    """Random numbers for G segments and S speakers.

    Attributes:
        phase_offset: (G,) cycles, of the second sample of a segment.
        conversion_phase_offset: (G,) cycles, of its conversion.
        target_offset: (G,) index of the target speaker relative to the segment's own, 1 to S − 1.
        mix_partner: (G,) index of the second speaker of a mix, 0 to S − 3, among those who are neither.
        mix_weight: (G,) weight of the target in the mix; 1 without a mix.
    """

    phase_offset: Tensor
    conversion_phase_offset: Tensor
    target_offset: Tensor
    mix_partner: Tensor
    mix_weight: Tensor

    def select(self, segments: slice | list[int]) -> "SpeakerDraw":
        """The draws of some of the segments."""
        return SpeakerDraw(**{f.name: getattr(self, f.name)[segments] for f in fields(self)})


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
        fake: (B + K, T) output of the generator, where it serves more than one update.
    """

    audio: Tensor
    conditioning: Conditioning
    converted_from: list[int]
    second_conditioning: Conditioning | None
    band: Tensor
    windows: Mapping[str, slice]
    fake: Tensor | None = None

    def normalised_window(self, fake: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Window of generated (B + K, T) and of real audio, divided by the RMS level of the real one.

        At the level of a recording a discriminator sees little but its own biases and stays at chance.
        """
        window = self.windows[name]
        real = self.audio[:, window]
        level = rms_level(real)
        return fake[:, window] / torch.cat([level, level[self.converted_from]]), real / level

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
    batch: Batch, config: Config, window_seconds: Mapping[str, float] | None, rank: int = 0, world: int = 1
) -> list[MicroBatch]:
    """Sample the micro batches of a step from torch's global random number generator.

    Args:
        batch: segments of this process.
        config: gradient accumulation, virtual speakers, and whether the energy distance needs a second sample.
        window_seconds: window of each perceptual loss; None while only the reconstruction is trained.
        rank: of the process.
        world: number of processes, which share the batch of the step equally.
    """
    count, samples = batch.audio.shape
    draw = _sample(count * world, batch.conditioning.speaker.shape[1], config.virtual_speakers)
    seconds = {}
    if window_seconds is not None:
        seconds = {DISCRIMINATOR: config.train.discriminator_segment_seconds, **window_seconds}
    lengths = {name: config.clamp_to_segment(value) * config.hop for name, value in seconds.items()}
    windows = {name: _random_window(samples, length, config.hop) for name, length in lengths.items()}
    parts = batch.micro_batches(config.train.gradient_accumulation_steps)
    size = count // len(parts)
    micro_batches = []
    for number, part in enumerate(parts):
        first = rank * count + number * size
        own = draw.select(slice(first, first + size))
        conditioning, sources = part.conditioning, []
        if window_seconds is not None and conditioning.speaker.shape[1] > 1:
            sources = evenly_spaced(config.virtual_speakers.fraction, size)
        if sources:
            converted = with_other_speakers(conditioning.select(sources), own.select(sources))
            conditioning = Conditioning.stack([conditioning, converted])
        second = with_new_noise(part.conditioning, own.phase_offset) if config.loss.energy_repulsion else None
        audio = limit_band(part.audio, part.band, config.sample_rate)
        band = torch.cat([part.band, part.band[sources]])
        micro_batches.append(MicroBatch(audio, conditioning, sources, second, band, windows))
    return micro_batches


def _sample(count: int, speakers: int, config: VirtualSpeakersConfig) -> SpeakerDraw:
    weight = torch.distributions.Beta(config.mixup_alpha, config.mixup_alpha).sample((count,))
    return SpeakerDraw(
        phase_offset=torch.rand(count),
        conversion_phase_offset=torch.rand(count),
        target_offset=torch.randint(1, max(2, speakers), (count,)),
        mix_partner=torch.randint(max(1, speakers - 2), (count,)),
        mix_weight=torch.where(torch.rand(count) < config.mixup_fraction, weight, torch.ones(count)),
    )


def with_other_speakers(conditioning: Conditioning, draw: SpeakerDraw) -> Conditioning:
    """Conditioning of conversions to another speaker, or to a virtual one: a mix of two.

    The two are neither the segment's own speaker; if there are only two speakers, one of them is.
    """
    speakers, own = conditioning.speaker.shape[1], conditioning.speaker.argmax(dim=-1)
    draw = SpeakerDraw(**{f.name: getattr(draw, f.name).to(own.device) for f in fields(draw)})
    target = (own + draw.target_offset) % speakers
    partner = _skip_two(own, target, draw.mix_partner) if speakers > 2 else own
    weight = draw.mix_weight[:, None]
    mix = weight * functional.one_hot(target, speakers) + (1 - weight) * functional.one_hot(partner, speakers)
    return with_new_noise(conditioning.with_speaker(mix), draw.conversion_phase_offset)


def _skip_two(first: Tensor, second: Tensor, index: Tensor) -> Tensor:
    """Map indices (K,) that count all speakers but ``first`` and ``second`` to indices that count all."""
    index = index + (index >= torch.minimum(first, second))
    return index + (index >= torch.maximum(first, second))


def with_new_noise(conditioning: Conditioning, phase_offset: Tensor) -> Conditioning:
    """The same conditioning with other noise, and pulses shifted by a phase offset (B,) in cycles."""
    phase = (conditioning.phase + phase_offset.to(conditioning.phase.device)[:, None]) % 1.0
    return replace(conditioning, start_frame=conditioning.start_frame + NOISE_OFFSET, phase=phase)


def _random_window(samples: int, length: int, hop: int) -> slice:
    first = int(torch.randint((samples - length) // hop + 1, ())) * hop
    return slice(first, first + length)
