"""``svc merge``: merge the speakers of two voices."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import Force, VoiceOption, app, check_voice_output
from svc.cli.speakers import VoiceOut, save_voice
from svc.inference.base_voice import find_voice


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
    from svc.inference import speakers
    from svc.inference.voice import VoiceFile

    merged, messages = speakers.merge(VoiceFile.read(find_voice(voice)), VoiceFile.read(other))
    for message in messages:
        typer.echo(f"  {message}")
    save_voice(merged, out)
