"""``svc remove``: remove a speaker from a voice."""

from svc.cli.app import Force, VoiceOption, app, check_voice_output
from svc.cli.speakers import SpeakerName, VoiceOut, save_voice
from svc.inference.base_voice import find_voice


@app.command()
def remove(speaker: SpeakerName, out: VoiceOut, voice: VoiceOption = None, force: Force = False) -> None:
    """Remove a speaker; the others keep their numbers.

    Its number is not used again.
    """
    check_voice_output(out, force)
    from svc.inference.speakers import without
    from svc.inference.voice import VoiceFile

    save_voice(without(VoiceFile.read(find_voice(voice)), speaker), out)
