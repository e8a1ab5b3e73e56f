"""Commands about who is in a voice: ``speakers``, ``rename``, ``remove``, ``merge``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import VOICE_HELP, Force, app, free_voice, newest_voice
from svc.errors import printable

if TYPE_CHECKING:
    from svc.inference.voice import Voice

Given = Annotated[Path, typer.Argument(help="voice file")]
Out = Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")]
Who = Annotated[str, typer.Argument(help="name or number, see `svc speakers`")]


@app.command()
def speakers(
    voice: Annotated[Path | None, typer.Argument(help=VOICE_HELP)] = None,
) -> None:
    """List the singers of a voice, with their numbers and ranges, and its card."""
    from svc.inference.voice import Voice

    chosen = voice or newest_voice()
    loaded = Voice.load(chosen)
    _list(loaded)
    for heading, text in loaded.card.items():
        typer.echo(printable(f"{heading}: {text}"))
    first = loaded.singers[0].number
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
    from svc.inference.speakers import renamed
    from svc.inference.voice import Voice

    free_voice(out, force)
    loaded = Voice.load(voice)
    _write(renamed(loaded, who, name), out, loaded.row(who))


@app.command()
def remove(voice: Given, who: Who, out: Out, force: Force = False) -> None:
    """Take a singer out of a voice; the numbers of the others stay, and this one is not given again."""
    from svc.inference.speakers import removed
    from svc.inference.voice import Voice

    free_voice(out, force)
    _write(removed(Voice.load(voice), who), out)


@app.command()
def merge(
    voice: Given,
    other: Annotated[Path, typer.Argument(help="voice file whose singers join, fitted from the same voice")],
    out: Out,
    force: Force = False,
) -> None:
    """Bring the singers of two voices together that were fitted from one: singers of the first keep their numbers."""
    from svc.inference.speakers import merged
    from svc.inference.voice import Voice

    free_voice(out, force)
    both, told = merged(Voice.load(voice), Voice.load(other))
    for sentence in told:
        typer.echo(f"  {sentence}")
    _write(both, out)


def _list(voice: "Voice") -> None:
    width = max(len(singer.name) for singer in voice.singers)
    for singer in voice.singers:
        pitch = f"{singer.low_f0:.0f}–{singer.high_f0:.0f} Hz, median {singer.median_f0:.0f}"
        pitch = pitch if singer.median_f0 else "range unknown"
        typer.echo(f"{singer.number:4d}  {singer.name:{width}}  {singer.seconds / 60:5.1f} min  {singer.kind}  {pitch}")


def _write(voice: "Voice", out: Path, place: int = -1) -> None:
    voice.save(out)
    _list(voice)
    typer.echo(f"{out}: {len(voice.singers)} singers")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.singers[place].name!r} SONG.wav")
