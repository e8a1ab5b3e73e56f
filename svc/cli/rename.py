"""``svc rename``: rename a speaker of a voice."""

from typing import Annotated

import typer

from svc.cli.app import Force, VoiceOption, app, check_voice_output
from svc.cli.speakers import SpeakerName, VoiceOut, save_voice
from svc.inference.base_voice import find_voice


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
    save_voice(with_renamed(loaded, speaker, name), out, loaded.speaker_index(speaker))
