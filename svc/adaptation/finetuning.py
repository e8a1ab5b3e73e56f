"""A new singer's last step: the front is trained, too, while the old singers, as they sound, are rehearsed.

A voice holds no recordings, so what the old singers rehearse is what the voice itself makes of the new singer's clips
as each of them (learning without forgetting, Li and Hoiem 1606.09282).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from svc.adaptation.speaker_embedding import NEVER, configured
from svc.config import Config
from svc.data import manifest
from svc.data.manifest import Clip, Manifest
from svc.features.cache import Arrays, FeatureCache, to_int16
from svc.features.speaker import Speaker
from svc.inference import speakers
from svc.inference.back_translation import rendition
from svc.inference.converter import Converter
from svc.inference.voice import VoiceFile
from svc.models.source_filter import SPEAKER_FILM_OFFSET
from svc.training import checkpoint
from svc.training.loop import Outcome, train
from svc.training.state import TrainState
from svc.utils.progress import progress
from svc.utils.units import FRAMES_PER_SECOND

REHEARSED = 15.0  # seconds of every old singer
ALL_OF_IT = {
    "train.steps": 400,
    "train.learning_rate": 5e-4,
    "train.refine_start": NEVER,  # the front alone: the WaveNet would unlearn its texture without an adversary
    "train.adversary_start": NEVER,
    "train.ema": 0.98,
    "train.validate_every": 100,
}


def tuning(voice: VoiceFile, changes: Mapping[str, Any]) -> Config:
    """How to tune: as ``singer.configured``, but slower and longer.

    Raises:
        ConfigError: a change is wrong.
    """
    return configured(voice, {**ALL_OF_IT, **changes})


def rehearse(voice: VoiceFile, prepared: Manifest, out: Path) -> Manifest:
    """A prepared folder of the new singer's clips, and of some of them as every other singer of the voice.

    Args:
        voice: with the new singer, the last.
        prepared: the new singer's.
        out: folder to make; what is there is not made again.
    """
    source, made, converter = FeatureCache(prepared.folder / "store"), FeatureCache(out / "store"), Converter(voice)
    clips = [*prepared.clips]
    for clip in prepared.clips:
        if not made.has(clip.key):
            made.put(clip.key, source.get_all(clip.key))
    base = speakers.shared_weights_hash(voice)
    old = voice.speakers[:-1]
    for place, singer in enumerate(progress(old, "rehearse", "singer", len(old))):
        for clip in _chosen(prepared.split("train"), place):
            entry = made.key(clip.key, {"base": base, "singer": singer.name})
            if not made.has(entry):
                made.put(entry, _entry(source, clip, converter, place))
            clips.append(replace(clip, path=f"{singer.name}/{clip.path}", singer=singer.name, key=entry))
    singers = [Speaker(s.name, s.seconds, *s.range, s.level) for s in voice.speakers]
    manifest.write(out, clips, singers, [], prepared.features)
    return manifest.read(out)


def _chosen(clips: Sequence[Clip], place: int) -> list[Clip]:
    """Some of the clips, others for every place, that last long enough together."""
    chosen = np.random.default_rng(place).permutation(len(clips))
    lengths = np.cumsum([clips[n].frames for n in chosen]) / FRAMES_PER_SECOND
    return [clips[n] for n in chosen[: 1 + int(np.searchsorted(lengths, REHEARSED))]]


def _entry(store: FeatureCache, clip: Clip, converter: Converter, place: int) -> Arrays:
    """What is stored of a clip, as the singer at a place sings it, by the front that is to be trained."""
    asked, sung = rendition(store, clip, converter, place, use_wavenet=False)
    return store.get_all(clip.key) | {"audio": to_int16(sung), "f0": asked.f0[0].numpy()}


def tune(voice: VoiceFile, rehearsed: Manifest, run: Path, config: Config, *, cpu: bool = False) -> Outcome:
    """Train the front of a voice, all of it where there is none, on a folder of ``rehearse``; see ``singer.fit``."""

    def begin(state: TrainState) -> None:
        for generator in (state.generator, state.average):
            generator.load_state_dict(voice.generator.state_dict())
        state.generator.get_parameter(SPEAKER_FILM_OFFSET).requires_grad_(True)

    return train(rehearsed, run, config, cpu=cpu, begin=begin)


def tuned(voice: VoiceFile, run: Path) -> VoiceFile:
    """The voice as a run left it at its best.

    Raises:
        TrainingError: the run holds no checkpoint.
    """
    generator = copy.deepcopy(voice.generator).cpu()
    generator.load_state_dict(checkpoint.average_weights(checkpoint.best_or_last(run)))
    *others, new = voice.speakers
    return replace(voice, generator=generator, singers=(*others, replace(new, kind="finetuned")))
