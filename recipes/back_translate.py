"""Content of a voice's own conversions, to train on: ``python recipes/back_translate.py VOICE PREPARED -o OTHER``.

Train on the new folder with ``--set train.back_translated=0.5``; see svc/inference/back_translation.py.
"""

from pathlib import Path
from typing import Annotated

import typer

from svc import cli


def main(
    voice: Annotated[Path, typer.Argument(help="voice trained on the prepared folder")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder to make; what is there is not made again")],
    others: Annotated[int, typer.Option(min=1, help="singers that each clip is converted to")] = 2,
) -> None:
    """Copy a prepared folder, with the content of conversions of every clip to train on to a few other singers."""
    from svc.data import manifest
    from svc.data.prepare import check_config
    from svc.errors import DataError
    from svc.features.cache import file_hash
    from svc.inference.back_translation import translate
    from svc.inference.converter import Converter
    from svc.inference.voice import Voice

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
    translate(read, out, converter, others, {"voice": file_hash(voice)})
    clips = sum(clip.split == "train" for clip in read.clips)
    typer.echo(f"{out}: {clips} clips, each heard from {others} others as well")
    typer.echo(f"next: accelerate launch recipes/train.py CONFIG {out} -o RUN --set train.back_translated=0.5")


if __name__ == "__main__":
    cli.run(main)
