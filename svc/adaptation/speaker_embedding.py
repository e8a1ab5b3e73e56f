"""Speaker embedding adaptation: a new speaker's embedding and FiLM offset, trained with a frozen generator.

The start is the nearest convex mix of the voice's speakers; the training is the loop of all trainings. The generator
does not change, so the other speakers stay the same to the bit.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svc.audio import praat
from svc.config import Config, from_tree, to_tree
from svc.config.tree import set_dotted
from svc.data import manifest
from svc.data.batch import Batch
from svc.data.dataset import SegmentDataset
from svc.data.extraction import extract_clip
from svc.data.manifest import Clip, Manifest
from svc.features.cache import FeatureCache
from svc.inference import speakers
from svc.inference.voice import VoiceFile
from svc.losses.stft import limit_band, reconstruction_losses
from svc.models.weight_names import SPEAKER_PARAM_NAMES
from svc.training import checkpoint
from svc.training.loop import TrainResult, train
from svc.training.state import TrainState
from svc.utils.distributed import process_group
from svc.utils.optional import MissingExtra
from svc.utils.progress import progress

DISABLED = 10**6  # a step that no adaptation reaches
EMBEDDING_DEFAULTS = {
    "train.steps": 300,
    "train.wavenet_start_step": DISABLED,  # source–filter stage alone: it defines the timbre
    "train.adversarial_start_step": DISABLED,
    "loss.limit_widest_band": True,  # above the recordings the speaker keeps what the voice has
    "train.learning_rate": 5e-2,
    "train.warmup_steps": 10,
    "train.ema_decay": 0.95,
    "train.validate_every": 20,
    "train.checkpoint_every": 100,
    "train.log_every": 20,
    "train.num_validation_clips": 8,
    "train.keep_checkpoints": 1,
    "train.trackers": [],
}
MIX_STEPS, MIX_LEARNING_RATE, MIX_SEGMENTS = 40, 0.1, 16
SHIFT_SEMITONES = (2.0, 10.0)  # above the speech, drawn for every clip


@dataclass(frozen=True, slots=True)
class InitialSpeaker:
    """Start of an adaptation."""

    params: speakers.SpeakerParams  # of the new speaker
    nearest: list[str]  # names of the voice's speakers, the most similar first


def adaptation_config(voice: VoiceFile, overrides: Mapping[str, Any]) -> Config:
    """Config of an adaptation: sample rate, features and model of the voice, else ``EMBEDDING_DEFAULTS``.

    Of the rest of a voice's config, which may come from others, only what shapes the spectral loss is used.

    Raises:
        ConfigError: an override is wrong.
    """
    own, tree = to_tree(voice.config), to_tree(Config())
    tree |= {name: own[name] for name in ("sample_rate", "features", "model")}
    tree["loss"] |= {name: own["loss"][name] for name in ("scales", "spectral", "energy_repulsion")}
    for loss in tree["perceptual"].values():
        loss |= {"weight": 0.0, "conversion_weight": 0.0}
    for name, value in {**EMBEDDING_DEFAULTS, **overrides}.items():
        set_dotted(tree, name, value)
    return from_tree(tree, where="--set")


def with_pitch_shifted_speech(voice: VoiceFile, prepared: Manifest, out: Path) -> Manifest:
    """Pitch augmentation by Praat: a copy of a prepared folder, and every training clip once more at a higher pitch.

    The folder itself where Praat (extra ``eval``) is not installed.
    """
    try:
        process_group().on_main(lambda: _add_pitch_shifted_clips(prepared, out, voice.config))
    except MissingExtra:
        return prepared
    return manifest.read(out)


def _add_pitch_shifted_clips(prepared: Manifest, out: Path, config: Config) -> None:
    target, clips = FeatureCache(out / "store"), list(prepared.clips)
    for clip in progress(prepared.clips, "shift pitch", "clip", len(prepared.clips)):
        target.copy_from(prepared.cache, clip.key)
        if clip.split == "train" and (shifted := _shift_pitch(clip, prepared, target, config)):
            clips.append(shifted)
    manifest.write(out, clips, prepared.speakers, [], prepared.features)


def _shift_pitch(clip: Clip, prepared: Manifest, target: FeatureCache, config: Config) -> Clip | None:
    """A clip at a higher pitch; none if no frame of it is voiced."""
    semitones = float(np.random.default_rng(int(clip.key[:8], 16)).uniform(*SHIFT_SEMITONES))
    key = target.key(clip.key, {"pitch_shift": semitones, "praat": praat.fingerprint()})
    if not target.has(key):
        arrays = extract_clip(praat.pitch_shift(prepared.audio(clip), semitones), config)
        if not arrays["voiced"].any():
            return None
        target.put(key, arrays)
    active = target.get(key, "cumulative_active")
    return replace(clip, path=f"{clip.path} pitch-shifted", key=key, frames=len(active) - 1, active=int(active[-1]))


def sample_segments(prepared: Manifest, config: Config) -> Batch:
    """Training segments of a prepared folder."""
    items = SegmentDataset(prepared, config)
    return Batch.stack([items[n // len(items), n % len(items)] for n in range(MIX_SEGMENTS)])


def nearest_speaker_mix(voice: VoiceFile, segments: Batch, config: Config) -> InitialSpeaker:
    """The convex mix of a voice's speakers with the lowest spectral loss on segments, by gradient descent."""
    generator = copy.deepcopy(voice.generator).cpu().requires_grad_(False)
    count, rate = len(segments.audio), config.sample_rate
    real = limit_band(segments.audio, segments.band, rate)

    def spectral_loss(weights: Tensor) -> Tensor:
        conditioning = segments.conditioning.with_speaker(weights.expand(count, -1))
        fake = limit_band(generator(conditioning, use_wavenet=False), segments.band, rate)
        return reconstruction_losses(fake=fake, real=real, config=config.loss, sample_rate=rate)["spectral"]

    with torch.no_grad():
        each = progress(torch.eye(len(voice.speakers)), "compare", "speaker", len(voice.speakers))
        alone = torch.stack([spectral_loss(one_hot) for one_hot in each])
    logits = nn.Parameter((alone.min() - alone) * 20)
    optimizer = torch.optim.Adam([logits], lr=MIX_LEARNING_RATE)
    steps = MIX_STEPS if len(voice.speakers) > 1 else 0
    for _ in progress(range(steps), "nearest mix", "step", steps):
        optimizer.zero_grad()
        spectral_loss(logits.softmax(dim=0)).backward()
        optimizer.step()
    shares = logits.detach().softmax(dim=0)
    order = shares.argsort(descending=True).tolist()
    params = {name: (shares @ generator.get_parameter(name)).numpy() for name in SPEAKER_PARAM_NAMES}
    return InitialSpeaker(params, [voice.speakers[n].name for n in order])


def train_embedding(
    voice: VoiceFile, initial: InitialSpeaker, prepared: Manifest, run: Path, config: Config, *, cpu: bool = False
) -> TrainResult:
    """Train the parameters of the only speaker of a prepared folder; the voice stays as it is.

    If the folder of the run holds checkpoints the newest is resumed. The config is one of ``adaptation_config``.
    """

    def initialise(state: TrainState) -> None:
        params = {name: torch.from_numpy(value)[None] for name, value in initial.params.items()}
        for generator in (state.generator, state.ema_generator):
            generator.load_state_dict(voice.generator.state_dict() | params)
            generator.requires_grad_(False)
        for name in SPEAKER_PARAM_NAMES:
            state.generator.get_parameter(name).requires_grad_(True)

    return train(prepared, run, config, cpu=cpu, initialise=initialise)


def trained_params(run: Path) -> speakers.SpeakerParams:
    """Parameters of the speaker of a run of ``train_embedding``, from its best checkpoint.

    Raises:
        TrainingError: the run holds no checkpoint.
    """
    weights = checkpoint.ema_weights(checkpoint.best_or_last(run))
    return {name: weights[name][0].numpy() for name in SPEAKER_PARAM_NAMES}
