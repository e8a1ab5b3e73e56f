"""Arrange RAVDESS for `svc evaluate`: songs to convert, enrolment recordings and parallel performances.

A file is called modality-channel-emotion-intensity-statement-repetition-actor; all actors sing the same melody for
an emotion, so files that differ in the last number alone are one song by several singers.
"""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from svc import cli
from svc.data.corpora.ravdess import Recording, find
from svc.errors import DataError, printable

STEP = 7  # every seventh song: prime, so that all melodies, statements and repetitions occur
WORDS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}  # statement
OTHER = {"01": "02", "02": "01"}  # repetition


def main(
    data: Annotated[Path, typer.Argument(help="folder of actorNN/{song,speech}")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder to create")],
    prepared: Annotated[
        Path | None, typer.Option(help="folder of `svc prepare`, whose validation songs are the sources")
    ] = None,
) -> None:
    """Write OUT/{songs,by_song,by_speech,truths}/<actor>/, with the lyrics beside the songs.

    Without --prepared, every seventh song is a source.
    """
    if os.path.lexists(out):
        raise DataError(f"{out}: exists already; remove it or choose another -o")
    recordings, skipped = find(data)
    for reason in skipped:
        typer.echo(printable(f"  skipped {reason}"))
    songs = [recording for recording in recordings if recording.kind == "song"]
    sources = songs[STEP - 1 :: STEP]
    if prepared:
        validation = validation_paths(prepared)
        sources = [song for song in songs if song.path.relative_to(data).as_posix() in validation]
        if not sources:
            raise DataError(
                f"{prepared}: has no validation song of {data}; prepare that folder, or leave out --prepared"
            )
    if not sources:
        raise DataError(f"{data}: {len(songs)} songs, of which every seventh is a source; add more, or give --prepared")
    texts = {place(song): WORDS[song.statement] for song in sources if song.statement in WORDS}
    copy(plan(recordings, sources), texts, out)
    typer.echo(f"{out}: {len(sources)} songs of {len({song.actor for song in sources})} speakers")
    folders = f"--sources {out}/songs --enrolment {out}/by_song --parallel {out}/truths"
    typer.echo(f"next: svc evaluate --voice VOICE {folders} -o OUT")


def validation_paths(prepared: Path) -> set[str]:
    """Paths of the validation clips."""
    from svc.data import manifest

    return {clip.path for clip in manifest.read(prepared).split("valid")}


def plan(recordings: Sequence[Recording], sources: Collection[Recording]) -> dict[str, Path]:
    """Every file to write, relative to the output folder, and the file it is a copy of."""
    copies = {}
    for recording in recordings:
        actor, piece, repetition = recording.actor, recording.piece, recording.repetition
        copies[f"by_{recording.kind}/{actor}/{recording.path.name}"] = recording.path
        if recording.kind == "song":
            copies[f"truths/{actor}/{piece}{repetition}.flac"] = recording.path
            copies[f"truths/{actor}/{piece}{OTHER[repetition]}.other.flac"] = recording.path
        if recording in sources:
            copies[place(recording)] = recording.path
    return copies


def place(song: Recording) -> str:
    """Path of a source, relative to the output folder."""
    return f"songs/{song.actor}/{song.piece}{song.repetition}.flac"


def copy(copies: dict[str, Path], texts: dict[str, str], out: Path) -> None:
    """Write a folder of copies and lyrics, or nothing.

    Raises:
        DataError: the folder cannot be created, or a file cannot be copied.
    """
    try:
        out.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be created ({error.strerror}); choose another -o") from None
    try:
        for name, path in copies.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / name)
        for name, words in texts.items():
            (out / name).with_suffix(".txt").write_text(f"{words}\n", encoding="utf-8")
    except OSError as error:
        shutil.rmtree(out, ignore_errors=True)
        raise DataError(f"{error.filename or out}: cannot be copied ({error.strerror or error})") from None


if __name__ == "__main__":
    cli.run(main)
