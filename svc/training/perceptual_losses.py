"""The listeners of a run, and what the one that knows singers knows them by."""

import numpy as np
import torch
from torch import Tensor

from svc.config import Config
from svc.data.dataset import read_active_share, read_audio
from svc.data.manifest import Manifest
from svc.encoders.ge2e import GE2ESpeakerEncoder
from svc.features.cache import FeatureCache
from svc.losses import perceptual
from svc.losses.perceptual import AudioLoss
from svc.losses.speaker import SpeakerLoss
from svc.training.virtual_speakers import level_of
from svc.utils.units import FRAMES_PER_SECOND

ENROLLED = 60  # seconds of a singer, at most
UNSUNG = 1e-6  # what a stretch counts in which nobody sings


def listeners(prepared: Manifest, config: Config) -> dict[str, AudioLoss]:
    """The listeners that a config gives any weight, by the names of their terms.

    Raises:
        MissingExtra: the library of one is not installed.
        WeightsError: the weights of one are not there, or damaged.
    """
    found: dict[str, AudioLoss] = {**perceptual.build_perceptual_losses(config)}
    if config.loss.identity or config.loss.other_identity:
        known = (enrolment(prepared, singer.name, config) for singer in prepared.speakers)
        seconds = config.perceptual.identity.seconds
        found["identity"] = SpeakerLoss(GE2ESpeakerEncoder(), known, seconds, config.sample_rate)
    return found


def enrolment(prepared: Manifest, singer: str, config: Config) -> tuple[Tensor, Tensor]:
    """What a singer is known by: stretches of training clips, as long as those that are heard in a step.

    A minute at most, spread evenly over all there is; nothing is drawn at random.

    Returns:
        The audio (K, T) at unit power, and how much of each is sung (K,).
    """
    store, length = FeatureCache(prepared.folder / "store"), config.clamp_to_segment(config.perceptual.identity.seconds)
    clips = [clip for clip in prepared.split("train") if clip.speaker == singer and clip.active]
    places = [(clip, first) for clip in clips for first in range(0, clip.frames - length + 1, length)]
    most = max(1, ENROLLED * FRAMES_PER_SECOND // length)
    chosen = [places[number] for number in np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)]
    audio = torch.cat([read_audio(store, clip, first, first + length, config.hop) for clip, first in chosen])
    sung = [read_active_share(store, clip, first, first + length) for clip, first in chosen]
    return audio / level_of(audio), torch.tensor(np.array(sung)).clamp_min(UNSUNG)
