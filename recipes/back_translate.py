"""Content of a voice's own conversions, to train on: ``python recipes/back_translate.py VOICE PREPARED -o OTHER``.

What is heard of a conversion has the words of a recording and another singer's timbre; asked for the recording from
that, a voice learns to leave the timbre alone (back-translation, Nachmani and Wolf 1904.06590). Train on the new
folder with ``--set train.back_translated=0.5``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli

if TYPE_CHECKING:  # torch is imported inside the functions, so that --help answers at once
    import numpy as np

    from svc.convert import Converter
    from svc.data.manifest import Clip
    from svc.features.store import Arrays, Store


def main(
    voice: Annotated[Path, typer.Argument(help="voice trained on the prepared folder")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder to make; what is there is not made again")],
    others: Annotated[int, typer.Option(min=1, help="singers that each clip is converted to")] = 2,
) -> None:
    """Copy a prepared folder, with the content of conversions of every clip to train on to a few other singers."""
    from dataclasses import replace

    from svc.convert import Converter
    from svc.data import manifest
    from svc.data.prepare import check_config
    from svc.errors import DataError
    from svc.features.store import Store, file_hash
    from svc.progress import progress
    from svc.voice import Voice

    read = manifest.read(prepared)
    converter = Converter(Voice.load(voice))
    check_config(read, converter.voice.config)
    names = [singer.name for singer in converter.voice.singers]
    if names != [singer.name for singer in read.singers]:
        raise DataError(f"{voice}: knows other singers than {prepared}; train it on that folder")
    if len(names) < 2:
        raise DataError(f"{voice}: knows one singer; there is nobody to convert to")
    if out.resolve() == prepared.resolve():
        raise DataError(f"{out}: is the prepared folder itself; choose another -o")
    others = min(others, len(names) - 1)
    source, made = Store(prepared / "store"), Store(out / "store")
    identity, clips = {"voice": file_hash(voice), "others": others}, []
    for clip in progress(read.clips, "convert", "clip", len(read.clips)):
        key = made.key(clip.key, identity)
        if not made.has(key):
            made.put(key, entry(source, clip, converter, others))
        clips.append(replace(clip, key=key))
    manifest.write(out, clips, read.singers, [], read.features)
    typer.echo(f"{out}: {sum(clip.split == 'train' for clip in clips)} clips, each heard from {others} others as well")
    typer.echo(f"next: accelerate launch recipes/train.py CONFIG {out} -o RUN --set train.back_translated=0.5")


def entry(store: "Store", clip: "Clip", converter: "Converter", others: int) -> "Arrays":
    """All that is stored of a clip, and if it is to train on, ``translated`` (K, C, N)."""
    import numpy as np

    known = {name: store.get(clip.key, name) for name in store.shapes(clip.key)}
    if clip.split != "train":
        return known
    rng = np.random.default_rng(int(clip.key[:8], 16))
    strangers = [n for n, singer in enumerate(converter.voice.singers) if singer.name != clip.singer]
    translated = np.stack([heard(store, clip, converter, int(n)) for n in rng.permutation(strangers)[:others]])
    return known | {"translated": translated.astype(np.float16)}


def heard(store: "Store", clip: "Clip", converter: "Converter", singer: int) -> "np.ndarray":
    """Content (C, N) of a clip as sung by somebody else, in the octave that suits them."""
    import numpy as np

    from svc import key
    from svc.audio.files import Audio
    from svc.conditioning import one_hot
    from svc.data.dataset import read_features
    from svc.features import content
    from svc.features.extract import measure_loudness

    voice, told = converter.voice, read_features(store, clip, 0, clip.frames)
    octaves = key.choose("auto", told.f0[told.voiced], voice.singers[singer].range)
    asked = told.conditioning(one_hot(singer, len(voice.singers))).transposed(octaves)
    sung = Audio(np.concatenate(list(converter.stream(asked))), voice.config.sample_rate)
    return content.extract(sung, clip.frames, measure_loudness(sung), voice.config.features.content)


if __name__ == "__main__":
    cli.run(main)
