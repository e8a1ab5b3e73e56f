"""``svc merge``: merge the speakers of two voices."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import Force, app, check_voice_output
from svc.cli.speakers import VoiceOut, VoicePath, save_voice


@app.command()
def merge(
    voice: VoicePath,
    other: Annotated[Path, typer.Argument(help="voice file with more speakers, fitted to the same voice")],
    out: VoiceOut,
    force: Force = False,
) -> None:
    """Merge the speakers of two voices that were fitted to the same one; those of the first keep their numbers."""
    from svc.inference import speakers
    from svc.inference.voice import VoiceFile

    check_voice_output(out, force)
    merged, messages = speakers.merge(VoiceFile.load(voice), VoiceFile.load(other))
    for message in messages:
        typer.echo(f"  {message}")
    save_voice(merged, out)
