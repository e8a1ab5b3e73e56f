"""``svc speakers``: list the speakers of a voice."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import VoiceOption, app
from svc.errors import printable
from svc.inference.base_voice import find_voice

if TYPE_CHECKING:
    from svc.inference.voice import VoiceFile, VoiceHeader

SHOWN = 40  # speakers
VoiceOut = Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")]
SpeakerName = Annotated[str, typer.Argument(help="name or number, see `svc speakers`")]


@app.command()
def speakers(
    voice: VoiceOption = None,
    everybody: Annotated[bool, typer.Option("--all", help=f"also those after the first {SHOWN}")] = False,
) -> None:
    """List the speakers of a voice, and its card."""
    from svc.inference.voice_header import read_header

    path = find_voice(voice)
    header = read_header(path)
    typer.echo(f"{path}:")
    print_speakers(header, len(header.speakers) if everybody else SHOWN)
    for heading, text in header.card.items():
        typer.echo(printable(f"{heading}: {text}"))
    first = header.speakers[0].number
    typer.echo(f"next: svc convert --voice {path} --speaker {first} SONG.wav; to add a speaker: svc fit --help")


def print_speakers(voice: "VoiceHeader", count: int = SHOWN) -> None:
    """One line for each of the first speakers, and for the last, who may be new."""
    shown = voice.speakers if len(voice.speakers) <= count else (*voice.speakers[: count - 1], voice.speakers[-1])
    width = max(len(speaker.name) for speaker in shown)
    for speaker in shown:
        pitch = f"{speaker.low_f0:.0f}–{speaker.high_f0:.0f} Hz, median {speaker.median_f0:.0f}"
        pitch = pitch if speaker.median_f0 else "range unknown"
        minutes = f"{speaker.seconds / 60:5.1f} min"
        typer.echo(f"{speaker.number:4d}  {speaker.name:{width}}  {minutes}  {speaker.kind}  {pitch}")
    if len(shown) < len(voice.speakers):
        typer.echo(f"and {len(voice.speakers) - len(shown)} more; svc speakers --all lists them")


def save_voice(voice: "VoiceFile", out: Path, index: int = -1) -> None:
    """Write a voice and list its speakers; the last line converts to the speaker at an index."""
    voice.save(out)
    print_speakers(voice)
    typer.echo(f"{out}: {len(voice.speakers)} speakers")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.speakers[index].name!r} SONG.wav")
