"""``svc rename``: rename a speaker of a voice."""

from typing import Annotated

import typer

from svc.cli.app import Force, app, check_voice_output
from svc.cli.speakers import SpeakerName, VoiceOut, VoicePath, save_voice


@app.command()
def rename(
    voice: VoicePath,
    speaker: SpeakerName,
    name: Annotated[str, typer.Argument(help="new name")],
    out: VoiceOut,
    force: Force = False,
) -> None:
    """Rename a speaker; the number stays."""
    from svc.inference.speakers import with_renamed
    from svc.inference.voice import VoiceFile

    check_voice_output(out, force)
    loaded = VoiceFile.load(voice)
    save_voice(with_renamed(loaded, speaker, name), out, loaded.speaker_index(speaker))
