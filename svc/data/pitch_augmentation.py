"""Pitch augmentation by Praat: speech shifted up to the pitch of singing, for a speaker with no recorded singing."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from svc.audio import praat
from svc.audio.files import Audio
from svc.config import Config
from svc.data import manifest
from svc.data.extraction import extract_clip
from svc.data.manifest import Clip, Manifest
from svc.features.cache import FeatureCache
from svc.utils.progress import progress

SEMITONES = (2.0, 10.0)  # above the speech, drawn for every clip


def add_pitch_shifted_clips(prepared: Manifest, out: Path, config: Config) -> None:
    """Copy a prepared folder, and add every training clip once more at a higher pitch.

    Raises:
        MissingExtra: Praat is not installed.
    """
    target = FeatureCache(out / "store")
    clips = list(prepared.clips)
    for clip in progress(prepared.clips, "shift pitch", "clip", len(prepared.clips)):
        if not target.has(clip.key):
            target.put(clip.key, prepared.cache.get_all(clip.key))
        if clip.split == "train":
            shifted = _shift(clip, prepared.audio(clip), target, config)
            clips += [] if shifted is None else [shifted]
    manifest.write(out, clips, prepared.speakers, [], prepared.features)


def _shift(clip: Clip, audio: Audio, target: FeatureCache, config: Config) -> Clip | None:
    """A clip at a higher pitch; none if no frame of it is voiced."""
    semitones = float(np.random.default_rng(int(clip.key[:8], 16)).uniform(*SEMITONES))
    key = target.key(clip.key, {"pitch_shift": semitones, "praat": praat.fingerprint()})
    if not target.has(key):
        arrays = extract_clip(praat.pitch_shift(audio, semitones), config)
        if not arrays["voiced"].any():
            return None
        target.put(key, arrays)
    active = target.get(key, "cumulative_active")
    return replace(clip, path=f"{clip.path} pitch-shifted", key=key, frames=len(active) - 1, active=int(active[-1]))
