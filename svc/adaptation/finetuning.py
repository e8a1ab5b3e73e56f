"""Fine-tuning of the source–filter stage for a new speaker, with replay of the others against forgetting.

A voice holds no recordings, so the replay data of the other speakers are conversions of the new speaker's clips by the
voice itself (learning without forgetting, Li and Hoiem 1606.09282).
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from svc.adaptation.speaker_embedding import DISABLED
from svc.config import Config
from svc.data import manifest
from svc.data.dataset import read_features
from svc.data.manifest import Clip, Manifest
from svc.features.cache import Arrays, FeatureCache, to_int16
from svc.features.speaker import Speaker
from svc.inference import speakers
from svc.inference.converter import Converter
from svc.inference.voice import VoiceFile
from svc.models.weight_names import SPEAKER_FILM_OFFSET, SPEAKER_PARAM_NAMES
from svc.training import checkpoint
from svc.training.loop import TrainResult, train
from svc.training.state import TrainState
from svc.utils.progress import progress
from svc.utils.units import FRAMES_PER_SECOND

REPLAY_SECONDS = 15.0  # of each other speaker
REPLAY_SPEAKERS = 12  # at most
FINETUNE_DEFAULTS = {  # of ``adaptation_config``: more steps at a lower rate
    "train.steps": 400,
    "train.learning_rate": 5e-4,
    "train.wavenet_start_step": DISABLED,  # not the WaveNet, which would lose its texture without a discriminator
    "train.adversarial_start_step": DISABLED,
    "train.ema_decay": 0.98,
    "train.validate_every": 100,
}


def with_replay_speakers(voice: VoiceFile) -> VoiceFile:
    """The voice with its last speaker, the new one, and those of the others who were recorded longest."""
    new = len(voice.speakers) - 1
    longest = sorted(range(new), key=lambda n: -voice.speakers[n].seconds)[:REPLAY_SPEAKERS]
    return speakers.subset(voice, [*sorted(longest), new])


def make_replay_dataset(voice: VoiceFile, prepared: Manifest, out: Path) -> Manifest:
    """A prepared folder of the clips of a voice's last speaker, and of conversions of some of them to all others.

    Entries that are in the output folder already are used again.
    """
    source, target = prepared.cache, FeatureCache(out / "store")
    converter = Converter(voice, guidance=0.0)  # targets of training are what the generator itself gives
    clips = [*prepared.clips]
    for clip in prepared.clips:
        target.copy_from(source, clip.key)
    weights, others = speakers.shared_weights_hash(voice), voice.speakers[:-1]
    for index, speaker in enumerate(progress(others, "replay", "speaker", len(others))):
        for clip in _sample_clips(prepared.split("train"), index):
            key = target.key(clip.key, {"base": weights, "speaker": speaker.name, "guidance": 0.0})
            if not target.has(key):
                target.put(key, _converted_entry(source, clip, converter, index))
            clips.append(replace(clip, path=f"{speaker.name}/{clip.path}", speaker=speaker.name, key=key))
    stats = [Speaker(s.name, s.seconds, *s.range, s.level, s.band) for s in voice.speakers]
    manifest.write(out, clips, stats, [], prepared.features)
    return manifest.read(out)


def _sample_clips(clips: Sequence[Clip], seed: int) -> list[Clip]:
    """Random clips of together ``REPLAY_SECONDS`` or a little more."""
    order = np.random.default_rng(seed).permutation(len(clips))
    seconds = np.cumsum([clips[n].frames for n in order]) / FRAMES_PER_SECOND
    return [clips[n] for n in order[: 1 + int(np.searchsorted(seconds, REPLAY_SECONDS))]]


def _converted_entry(cache: FeatureCache, clip: Clip, converter: Converter, speaker: int) -> Arrays:
    """The cache entry of a clip converted to the speaker at an index by the source–filter stage."""
    features = read_features(cache, clip, 0, clip.frames)
    conditioning, samples = converter.convert_clip(features, speaker, use_wavenet=False)
    return cache.get_all(clip.key) | {"audio": to_int16(samples), "f0": conditioning.f0[0].numpy()}


def finetune(voice: VoiceFile, replay: Manifest, run: Path, config: Config, *, cpu: bool = False) -> TrainResult:
    """Train the source–filter stage of a voice, or all of a generator without one, on ``make_replay_dataset``.

    Arguments as of ``svc.adaptation.speaker_embedding.train_embedding``.
    """

    def initialise(state: TrainState) -> None:
        for generator in (state.generator, state.ema_generator):
            generator.load_state_dict(voice.generator.state_dict())
        state.generator.get_parameter(SPEAKER_FILM_OFFSET).requires_grad_(True)

    return train(replay, run, config, cpu=cpu, initialise=initialise)


def apply_finetuned(voice: VoiceFile, run: Path) -> VoiceFile:
    """The voice with the generator of a run's best checkpoint; speakers that were not replayed keep their parameters.

    The run is one of ``finetune`` with the voice of ``with_replay_speakers``.

    Raises:
        TrainingError: the run holds no checkpoint.
    """
    generator, weights = copy.deepcopy(voice.generator).cpu(), checkpoint.ema_weights(checkpoint.best_or_last(run))
    numbers = [speaker.number for speaker in voice.speakers]
    rows = [numbers.index(speaker.number) for speaker in with_replay_speakers(voice).speakers]
    for name in SPEAKER_PARAM_NAMES:
        own = generator.get_parameter(name).detach().clone()
        own[rows] = weights[name]
        weights[name] = own
    generator.load_state_dict(weights)
    *others, new = voice.speakers
    return voice.with_generator(generator, speakers=(*others, replace(new, kind="finetuned")))
