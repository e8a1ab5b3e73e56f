"""Back-translation: the content of a voice's own conversions, to train on.

What is heard of a conversion has the words of a recording and another singer's timbre; asked for the recording from
that, a voice learns to leave the timbre alone (Nachmani and Wolf 1904.06590).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio, Samples
from svc.data import manifest
from svc.data.dataset import read_features
from svc.data.manifest import Clip, Manifest
from svc.features import content
from svc.features.cache import Arrays, Store
from svc.features.conditioning import Conditioning, one_hot
from svc.features.extract import measure_loudness
from svc.inference import transpose
from svc.inference.converter import Converter
from svc.utils.progress import progress


def translate(prepared: Manifest, out: Path, converter: Converter, others: int, identity: Mapping[str, object]) -> None:
    """Copy a prepared folder, with the content of conversions of every clip to train on to a few other singers.

    Args:
        prepared: whose singers the converter's voice may know or not.
        out: folder to make; what is there is not made again.
        converter: who converts.
        others: singers that each clip is converted to.
        identity: what the conversions depend on besides the clips.
    """
    source, made, clips = Store(prepared.folder / "store"), Store(out / "store"), []
    for clip in progress(prepared.clips, "convert", "clip", len(prepared.clips)):
        entry = made.key(clip.key, {**identity, "others": others})
        if not made.has(entry):
            made.put(entry, _entry(source, clip, converter, others))
        clips.append(replace(clip, key=entry))
    manifest.write(out, clips, prepared.singers, [], prepared.features)


def _entry(store: Store, clip: Clip, converter: Converter, others: int) -> Arrays:
    """All that is stored of a clip, and if it is to train on, ``translated`` (K, C, N)."""
    known = store.whole(clip.key)
    if clip.split != "train":
        return known
    rng = np.random.default_rng(int(clip.key[:8], 16))
    strangers = [n for n, singer in enumerate(converter.voice.singers) if singer.name != clip.singer]
    translated = np.stack([heard(store, clip, converter, int(n)) for n in rng.permutation(strangers)[:others]])
    return known | {"translated": translated.astype(np.float16)}


def heard(store: Store, clip: Clip, converter: Converter, singer: int) -> NDArray[np.float32]:
    """Content (C, N) of a clip as sung by the singer at a place, in the octave that suits them."""
    config = converter.voice.config
    sung = Audio(rendition(store, clip, converter, singer)[1], config.sample_rate)
    return content.extract(sung, clip.frames, measure_loudness(sung), config.features.content)


def rendition(
    store: Store, clip: Clip, converter: Converter, singer: int, refine: bool = True
) -> tuple[Conditioning, Samples]:
    """A clip as sung by the singer at a place, in the octave that suits them: what was asked, and samples (T,)."""
    voice, told = converter.voice, read_features(store, clip, 0, clip.frames)
    octaves = transpose.choose("auto", told.f0[told.voiced], voice.singers[singer].range)
    asked = told.conditioning(one_hot(singer, len(voice.singers))).transposed(octaves)
    return asked, np.concatenate(list(converter.stream(asked, refine=refine)))
