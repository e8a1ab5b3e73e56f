"""Lay RAVDESS out for `svc evaluate`: songs to convert, recordings to know singers by, and parallel renditions.

A file is called modality-channel-emotion-intensity-statement-repetition-actor; all actors sing the same melody for
an emotion, so what differs in the last number alone is one song by several singers.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from svc import cli
from svc.errors import DataError

EVERY = 7  # songs: prime, so that all melodies, statements and repetitions come up
OTHER = {"01": "02", "02": "01"}  # repetition


def main(
    data: Annotated[Path, typer.Argument(help="folder of actorNN/{song,speech}")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder to make")],
    prepared: Annotated[
        Path | None, typer.Option(help="folder made by `svc prepare`, whose held-out songs are the sources")
    ] = None,
) -> None:
    """Make OUT/{songs,by_song,by_speech,truths}/<actor>/; sources are every seventh song if none are held out."""
    recordings = sorted(data.glob("actor*/*/*.flac"))
    if not recordings:
        raise DataError(f"{data}: no actorNN/song/*.flac; name the folder that holds RAVDESS")
    if out.exists():
        raise DataError(f"{out}: exists already; remove it or choose another -o")
    held, seen = held_out(prepared) if prepared else None, 0
    for path in recordings:
        actor, kind = path.parts[-3:-1]
        copy(path, out / f"by_{kind}" / actor / path.name)
        if kind != "song":
            continue
        song, repetition = name(path), path.stem.split("-")[-2]
        copy(path, out / "truths" / actor / f"{song}.flac")
        copy(path, out / "truths" / actor / f"{song[:-2]}{OTHER[repetition]}.other.flac")
        seen += 1
        if f"{actor}/song/{path.name}" in held if held is not None else seen % EVERY == 0:
            copy(path, out / "songs" / actor / f"{song}.flac")
    songs = len(list((out / "songs").glob("*/*.flac")))
    typer.echo(f"{out}: {songs} songs of {len(list((out / 'songs').iterdir()))} singers")
    folders = f"--sources {out}/songs --references {out}/by_song --parallel {out}/truths"
    typer.echo(f"next: svc evaluate --voice VOICE {folders} -o OUT")


def name(path: Path) -> str:
    """Emotion, intensity, statement and repetition: a song, whoever sings it."""
    return "-".join(path.stem.split("-")[2:6])


def held_out(prepared: Path) -> set[str]:
    """Paths of the clips that nothing was trained on."""
    from svc.data import manifest

    return {clip.path for clip in manifest.read(prepared).split("valid")}


def copy(path: Path, target: Path) -> None:
    """A copy, folders made as needed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


if __name__ == "__main__":
    cli.run(main)
