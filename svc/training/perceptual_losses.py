"""Builds the perceptual losses of a run with their state, and the enrolment audio of the speaker loss."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svc import encoders
from svc.config import Config
from svc.data.dataset import count_active, read_audio
from svc.data.manifest import Clip, Manifest
from svc.losses.envelope import spectral_envelope
from svc.losses.envelope_phones import EnvelopePhoneLoss
from svc.losses.envelope_speaker import EnvelopeSpeakerLoss
from svc.losses.perceptual import AudioLoss, PerceptualLoss, build_perceptual_losses
from svc.losses.speaker import SpeakerLoss
from svc.training.micro_batch import rms_level
from svc.utils.progress import progress
from svc.utils.units import FRAMES_PER_SECOND

MAX_ENROLMENT_SECONDS = 60  # of each speaker
MAX_ENVELOPE_SECONDS = 20  # likewise, of envelopes, which take longer
EPS_WEIGHT = 1e-6  # of a window without voice


def build_losses(prepared: Manifest, config: Config) -> dict[str, AudioLoss]:
    """All losses on frozen encoders with a weight above 0, by name.

    Raises:
        MissingExtra: a library is not installed.
        WeightsError: the weights of an encoder are missing or damaged.
    """
    losses: dict[str, AudioLoss] = {**build_perceptual_losses(config)}
    options = config.loss.speaker
    if options.weight or options.conversion_weight:
        enrolment = (enrolment_audio(prepared, speaker.name, config) for speaker in prepared.speakers)
        losses["speaker"] = SpeakerLoss(
            encoders.load(options.encoder), enrolment, options.segment_seconds, config.sample_rate
        )
    return losses


def build_envelope_losses(prepared: Manifest, config: Config) -> dict[str, EnvelopePhoneLoss | EnvelopeSpeakerLoss]:
    """The losses of converted envelopes with a weight above 0, by name."""
    losses: dict[str, EnvelopePhoneLoss | EnvelopeSpeakerLoss] = {}
    points, rate = config.model.envelope_points, config.sample_rate
    if config.loss.conversion.envelope_phones:
        losses["envelope_phones"] = EnvelopePhoneLoss(points, rate)
    if config.loss.conversion.envelope_speaker:
        names = [speaker.name for speaker in prepared.speakers]
        enrolment = (
            enrolment_envelopes(prepared, name, config) for name in progress(names, "enrol", "speaker", len(names))
        )
        losses["envelope_speaker"] = EnvelopeSpeakerLoss(enrolment, points, rate)
    return losses


def balance_state(losses: Mapping[str, AudioLoss]) -> dict[str, Any]:
    """Layer weights of the losses, for a checkpoint."""
    return {name: loss.balance.state() for name, loss in losses.items() if isinstance(loss, PerceptualLoss)}


def restore_balance(losses: Mapping[str, AudioLoss], state: Mapping[str, Any]) -> None:
    """Take the layer weights that ``balance_state`` gave."""
    for name, loss in losses.items():
        if isinstance(loss, PerceptualLoss) and name in state:
            loss.balance.load_state(state[name])


def enrolment_envelopes(prepared: Manifest, speaker: str, config: Config) -> tuple[Tensor, Tensor]:
    """Enrolment of a speaker: log envelopes (K, N, P) of training segments, evenly spaced, and their active shares."""
    cache, length = prepared.cache, config.segment_frames
    windows = _evenly_spaced_windows(prepared, speaker, length, MAX_ENVELOPE_SECONDS)
    envelopes, active = [], []
    for clip, first in windows:
        audio = read_audio(cache, clip, first, first + length, config.hop)
        with cache.open(clip.key) as entry:
            f0 = torch.from_numpy(entry.get("f0", first, first + length).astype(np.float32))[None]
            active.append(count_active(entry, first, first + length) / length)
        envelopes.append(spectral_envelope(audio, f0, config.hop, config.model.envelope_points))
    return torch.cat(envelopes), torch.tensor(active).clamp_min(EPS_WEIGHT)


def enrolment_audio(prepared: Manifest, speaker: str, config: Config) -> tuple[Tensor, Tensor]:
    """Enrolment of a speaker: windows of training clips, evenly spaced, a minute at most.

    Returns:
        Audio (K, T) at unit power, and the share of active frames in each window (K,).
    """
    cache, length = prepared.cache, config.clamp_to_segment(config.loss.speaker.segment_seconds)
    chosen = _evenly_spaced_windows(prepared, speaker, length, MAX_ENROLMENT_SECONDS)
    audio = torch.cat([read_audio(cache, clip, first, first + length, config.hop) for clip, first in chosen])
    active = []
    for clip, first in chosen:
        with cache.open(clip.key) as entry:
            active.append(count_active(entry, first, first + length) / length)
    return audio / rms_level(audio), torch.tensor(active).clamp_min(EPS_WEIGHT)


def _evenly_spaced_windows(prepared: Manifest, speaker: str, length: int, seconds: int) -> list[tuple[Clip, int]]:
    """Training clips of a speaker, and first frames of windows in them: so many seconds together at most."""
    clips = [clip for clip in prepared.split("train") if clip.speaker == speaker and clip.active]
    windows = [(clip, first) for clip in clips for first in range(0, clip.frames - length + 1, length)]
    count = min(max(1, seconds * FRAMES_PER_SECOND // length), len(windows))
    return [windows[index] for index in np.linspace(0, len(windows) - 1, count).round().astype(int)]
