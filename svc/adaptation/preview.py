"""Preview of an adapted speaker: a held-out clip re-synthesised, and a phrase converted to the speaker."""

from pathlib import Path

import numpy as np

from svc.audio import files
from svc.audio.files import Audio
from svc.data.dataset import read_features
from svc.data.manifest import Manifest
from svc.data.synthetic.phrases import recorded_phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.features.cache import FeatureCache
from svc.inference.converter import Converter

PHRASE_SEED, PAUSE_SECONDS = 9_001, 0.5


def convert_phrase(converter: Converter) -> Audio:
    """A phrase by a synthetic singer, converted to the last speaker of a voice."""
    song = render(SINGERS[-1], recorded_phrase(PHRASE_SEED), converter.voice.config.sample_rate)
    audio = Audio(np.asarray(song.samples, np.float32), song.rate)
    return converter.convert(audio, f"#{converter.voice.speakers[-1].number}")[0]


def write_preview(path: Path, converter: Converter, prepared: Manifest, phrase: Audio) -> None:
    """A WAV file: a clip of the last speaker re-synthesised, held out if there is such a clip; a pause; the phrase.

    Raises:
        AudioError: the file cannot be written.
    """
    clip = (prepared.split("valid") or prepared.clips)[0]
    features = read_features(FeatureCache(prepared.folder / "store"), clip, 0, clip.frames)
    last = len(converter.voice.speakers) - 1
    pause = np.zeros(round(PAUSE_SECONDS * phrase.rate), np.float32)
    parts = [converter.convert_clip(features, last, transpose=0.0)[1], pause, phrase.samples]
    files.write(path, Audio(np.concatenate(parts), phrase.rate))
