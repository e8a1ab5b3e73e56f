"""Commands about who is in a voice: ``speakers``, ``rename``, ``remove``, ``merge``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import VOICE_HELP, Force, app, check_voice_output, newest_voice
from svc.errors import printable

if TYPE_CHECKING:
    from svc.inference.voice import VoiceFile

Given = Annotated[Path, typer.Argument(help="voice file")]
Out = Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")]
Who = Annotated[str, typer.Argument(help="name or number, see `svc speakers`")]


@app.command()
def speakers(
    voice: Annotated[Path | None, typer.Argument(help=VOICE_HELP)] = None,
) -> None:
    """List the singers of a voice, with their numbers and ranges, and its card."""
    from svc.inference.voice import VoiceFile

    chosen = voice or newest_voice()
    loaded = VoiceFile.load(chosen)
    _list(loaded)
    for heading, text in loaded.card.items():
        typer.echo(printable(f"{heading}: {text}"))
    first = loaded.speakers[0].number
    typer.echo(f"next: svc convert --voice {chosen} --speaker {first} SONG.wav; a new singer: svc fit --help")


@app.command()
def rename(
    voice: Given,
    who: Who,
    name: Annotated[str, typer.Argument(help="the new name")],
    out: Out,
    force: Force = False,
) -> None:
    """Give a singer another name; the number stays."""
    from svc.inference.speakers import with_renamed
    from svc.inference.voice import VoiceFile

    check_voice_output(out, force)
    loaded = VoiceFile.load(voice)
    _write(with_renamed(loaded, who, name), out, loaded.speaker_index(who))


@app.command()
def remove(voice: Given, who: Who, out: Out, force: Force = False) -> None:
    """Take a singer out of a voice; the numbers of the others stay, and this one is not given again."""
    from svc.inference.speakers import without
    from svc.inference.voice import VoiceFile

    check_voice_output(out, force)
    _write(without(VoiceFile.load(voice), who), out)


@app.command()
def merge(
    voice: Given,
    other: Annotated[Path, typer.Argument(help="voice file whose singers join, fitted from the same voice")],
    out: Out,
    force: Force = False,
) -> None:
    """Bring the singers of two voices together that were fitted from one: singers of the first keep their numbers."""
    from svc.inference.speakers import merge as merge_voices
    from svc.inference.voice import VoiceFile

    check_voice_output(out, force)
    both, told = merge_voices(VoiceFile.load(voice), VoiceFile.load(other))
    for sentence in told:
        typer.echo(f"  {sentence}")
    _write(both, out)


def _list(voice: "VoiceFile") -> None:
    width = max(len(singer.name) for singer in voice.speakers)
    for singer in voice.speakers:
        pitch = f"{singer.low_f0:.0f}–{singer.high_f0:.0f} Hz, median {singer.median_f0:.0f}"
        pitch = pitch if singer.median_f0 else "range unknown"
        typer.echo(f"{singer.number:4d}  {singer.name:{width}}  {singer.seconds / 60:5.1f} min  {singer.kind}  {pitch}")


def _write(voice: "VoiceFile", out: Path, place: int = -1) -> None:
    voice.save(out)
    _list(voice)
    typer.echo(f"{out}: {len(voice.speakers)} singers")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.speakers[place].name!r} SONG.wav")
