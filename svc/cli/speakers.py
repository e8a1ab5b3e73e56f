"""``svc speakers``, ``rename``, ``remove`` and ``merge``: list and change the speakers of a voice."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import Force, VoiceOption, app, check_voice_output
from svc.errors import printable
from svc.inference.base_voice import find_voice, name_voice

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
    typer.echo(
        f"{name_voice(path)}: {len(header.speakers)} speakers, minutes of recordings, range for --transpose auto"
    )
    _print_speakers(header, len(header.speakers) if everybody else SHOWN)
    for heading, text in header.card.items():
        typer.echo(printable(f"{heading}: {text}"))
    latest = header.speakers[-1] if header.speakers[-1].kind != "trained" else header.speakers[0]
    typer.echo(f"next: svc convert --voice {name_voice(path)} --speaker {latest.number} SONG.wav; "
               "to add a speaker: svc fit --help")  # fmt: skip


@app.command()
def rename(
    speaker: SpeakerName,
    name: Annotated[str, typer.Argument(help="new name")],
    out: VoiceOut,
    voice: VoiceOption = None,
    force: Force = False,
) -> None:
    """Rename a speaker; the number stays."""
    check_voice_output(out, force)
    from svc.inference.speakers import with_renamed
    from svc.inference.voice import VoiceFile

    loaded = VoiceFile.read(find_voice(voice))
    _save_voice(with_renamed(loaded, speaker, name), out, loaded.speaker_index(speaker))


@app.command()
def remove(speaker: SpeakerName, out: VoiceOut, voice: VoiceOption = None, force: Force = False) -> None:
    """Remove a speaker; the others keep their numbers.

    Its number is not used again.
    """
    check_voice_output(out, force)
    from svc.inference.speakers import without
    from svc.inference.voice import VoiceFile

    _save_voice(without(VoiceFile.read(find_voice(voice)), speaker), out)


@app.command()
def merge(
    other: Annotated[Path, typer.Argument(help="voice file with more speakers, fitted to the same voice")],
    out: VoiceOut,
    voice: VoiceOption = None,
    force: Force = False,
) -> None:
    """Merge the speakers of two voices fitted to the same one.

    Those of the first keep their numbers.
    """
    check_voice_output(out, force)
    from svc.inference.speakers import merge as merge_voices
    from svc.inference.voice import VoiceFile

    merged, messages = merge_voices(VoiceFile.read(find_voice(voice)), VoiceFile.read(other))
    typer.echo("".join(f"  {message}\n" for message in messages), nl=False)
    _save_voice(merged, out)


def _print_speakers(voice: "VoiceHeader", count: int = SHOWN) -> None:
    """One line for each of the first speakers, and for the last, who may be new."""
    shown = voice.speakers if len(voice.speakers) <= count else (*voice.speakers[: count - 1], voice.speakers[-1])
    width = max(len(speaker.name) for speaker in shown)
    for speaker in shown:
        pitch = f"{speaker.low_f0:.0f}–{speaker.high_f0:.0f} Hz, median {speaker.median_f0:.0f}"
        pitch = pitch if speaker.median_f0 else "range unknown"
        typer.echo(
            f"{speaker.number:4d}  {speaker.name:{width}}  {speaker.seconds / 60:5.1f} min  {speaker.kind}  {pitch}"
        )
    if len(shown) < len(voice.speakers):
        typer.echo(f"and {len(voice.speakers) - len(shown)} more; svc speakers --all lists them")


def _save_voice(voice: "VoiceFile", out: Path, index: int = -1) -> None:
    """Write a voice and list its speakers; the last line converts to the speaker at an index."""
    voice.save(out)
    _print_speakers(voice)
    typer.echo(f"{out}: {len(voice.speakers)} speakers")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.speakers[index].name!r} SONG.wav")
