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
from svc.data.corpora.base import Recording
from svc.data.corpora.ravdess import CORPUS
from svc.errors import DataError

STEP = 7  # every seventh song: prime, so that all melodies, statements and repetitions occur
OTHER = {"01": "02", "02": "01"}  # repetition


def main(
    data: Annotated[Path, typer.Argument(help="folder of RAVDESS: actorNN/{song,speech} or Actor_NN")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder to create")],
    prepared: Annotated[
        Path | None, typer.Option(help="folder of `svc prepare`, whose test songs are the sources")
    ] = None,
) -> None:
    """Write OUT/{songs,by_song,by_speech,truths}/<actor>/, with the lyrics beside the songs.

    Sources are the test songs of --prepared, or its validation songs if there is no test song; without --prepared
    every seventh song.
    """
    if os.path.lexists(out):
        raise DataError(f"{out}: exists already; remove it or choose another -o")
    recordings = CORPUS.find(data)
    songs = [recording for recording in recordings if recording.kind == "song"]
    sources = songs[STEP - 1 :: STEP]
    if prepared:
        held_out = held_out_names(prepared)
        sources = [song for song in songs if song.path.name in held_out]
        if not sources:
            raise DataError(
                f"{prepared}: has no test or validation song of {data}; prepare that folder, or leave out --prepared"
            )
    if not sources:
        raise DataError(f"{data}: {len(songs)} songs, of which every seventh is a source; add more, or give --prepared")
    texts = {place(song): f"{song.text}." for song in sources}
    copy(plan(recordings, sources), texts, out)
    typer.echo(f"{out}: {len(sources)} songs of {len({song.speaker for song in sources})} speakers")
    folders = f"--sources {out}/songs --enrolment {out}/by_song --parallel {out}/truths"
    typer.echo(f"next: svc evaluate --voice VOICE {folders} -o OUT")


def held_out_names(prepared: Path) -> set[str]:
    """File names of the test clips, or of the validation clips if there is no test clip."""
    from svc.data import manifest

    clips = manifest.read(prepared)
    return {clip.path.rpartition("/")[2] for clip in clips.split("test") or clips.split("valid")}


def plan(recordings: Sequence[Recording], sources: Collection[Recording]) -> dict[str, Path]:
    """Every file to write, relative to the output folder, and the file it is a copy of."""
    copies = {}
    for recording in recordings:
        path, actor, (piece, repetition) = recording.path, recording.speaker, piece_and_repetition(recording)
        copies[f"by_{recording.kind}/{actor}/{path.name}"] = path
        if recording.kind == "song":
            copies[f"truths/{actor}/{piece}-{repetition}{path.suffix}"] = path
            copies[f"truths/{actor}/{piece}-{OTHER[repetition]}.other{path.suffix}"] = path
        if recording in sources:
            copies[place(recording)] = path
    return copies


def piece_and_repetition(recording: Recording) -> tuple[str, str]:
    """Emotion, intensity and statement, as ``05-01-02``, and repetition, ``01`` or ``02``."""
    _, _, *piece, repetition, _ = recording.path.stem.split("-")
    return "-".join(piece), repetition


def place(song: Recording) -> str:
    """Path of a source, relative to the output folder."""
    piece, repetition = piece_and_repetition(song)
    return f"songs/{song.speaker}/{piece}-{repetition}{song.path.suffix}"


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
