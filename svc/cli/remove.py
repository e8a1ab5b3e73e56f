"""``svc remove``: remove a speaker from a voice."""

from svc.cli.app import Force, app, check_voice_output
from svc.cli.speakers import SpeakerName, VoiceOut, VoicePath, save_voice


@app.command()
def remove(voice: VoicePath, speaker: SpeakerName, out: VoiceOut, force: Force = False) -> None:
    """Remove a speaker; the others keep their numbers, and this one is not used again."""
    from svc.inference.speakers import without
    from svc.inference.voice import VoiceFile

    check_voice_output(out, force)
    save_voice(without(VoiceFile.load(voice), speaker), out)
