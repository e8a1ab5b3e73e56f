"""Virtual high notes: speech at the pitches of song, for a singer who is known by speech alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from svc.audio.files import Audio
from svc.config import Config
from svc.data import manifest
from svc.data.entry import analyse
from svc.data.manifest import Clip, Manifest
from svc.features.cache import Store, samples_of
from svc.phonetics import singing_augmentation
from svc.utils.progress import progress

SEMITONES = (2.0, 10.0)  # above what is spoken, drawn for every clip


def raise_clips(prepared: Manifest, out: Path, config: Config) -> None:
    """Copy a prepared folder, and add to the clips to train on each of them once more at a higher pitch.

    Args:
        prepared: of speech.
        out: folder to make; what is there is not made again.
        config: sample rate and features.

    Raises:
        MissingExtra: Praat is not installed.
    """
    source, made = Store(prepared.folder / "store"), Store(out / "store")
    clips = list(prepared.clips)
    for clip in progress(prepared.clips, "sing higher", "clip", len(prepared.clips)):
        if not made.has(clip.key):
            made.put(clip.key, source.whole(clip.key))
        if clip.split == "train":
            raised = _raised(clip, source, made, config)
            clips += [] if raised is None else [raised]
    manifest.write(out, clips, prepared.singers, [], prepared.features)


def _raised(clip: Clip, source: Store, made: Store, config: Config) -> Clip | None:
    """A clip at a higher pitch, if there is a voice in it."""
    semitones = float(np.random.default_rng(int(clip.key[:8], 16)).uniform(*SEMITONES))
    key = made.key(clip.key, {"raised": semitones})
    if not made.has(key):
        audio = Audio(samples_of(source.get(clip.key, "audio")), config.sample_rate)
        arrays = analyse(singing_augmentation.higher(audio, semitones), config)
        if not arrays["voiced"].any():
            return None
        made.put(key, arrays)
    active = made.get(key, "active")
    return replace(clip, path=f"{clip.path} raised", key=key, frames=len(active), active=int(active.sum()))
