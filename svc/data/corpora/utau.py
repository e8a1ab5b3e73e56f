"""UTAU voicebanks: syllables or strings of syllables that one speaker sings on one or several pitches.

Layout: a bank has ``character.txt`` (``name=…``, often Shift-JIS) and audio beside it or in a folder for each pitch,
each with ``oto.ini`` (``file.wav=alias,offset,…``). A folder of audio alone is a bank too, with the folder's name.
The licence is each bank's own; its readme says it.
"""

import re
from collections import Counter
from pathlib import Path

from svc.audio.find import is_audio
from svc.data.corpora.base import Corpus, Recording, audio_files, check_folder, read_text, speaker_name

_PITCH = re.compile(r"[ _]?[A-G][#b♯♭]?[1-7]")


class Voicebanks(Corpus):
    """Voicebanks: folders with a table of theirs, or one folder of audio alone."""

    def find(self, root: Path) -> list[Recording]:
        """Recordings of one or several voicebanks; a group is a string of syllables, the same on all pitches.

        Raises:
            DataError: there is no voicebank, or a table of it cannot be read.
        """
        check_folder(root)
        bare = not self.matches(root) and any(is_audio(path.name) for path in root.iterdir())
        roots = [root] if bare else self.roots(root)
        banks = {folder.parent if _PITCH.fullmatch(folder.name) and folder != root else folder for folder in roots}
        return [recording for bank in sorted(banks) for recording in _bank(bank)]


def _bank(bank: Path) -> list[Recording]:
    name = re.search(r"^name=(.+)$", read_text(bank / "character.txt") or "", re.MULTILINE)
    speaker = speaker_name(name[1] if name else "") or speaker_name(bank.resolve().name)
    paths = list(audio_files(bank))
    aliases = {folder: _aliases(folder / "oto.ini") for folder in {path.parent for path in paths}}
    return [_recording(path, speaker, aliases[path.parent].get(path.name)) for path in paths]


def _recording(path: Path, speaker: str, alias: str | None) -> Recording:
    syllables = re.sub(rf"(?<=.){_PITCH.pattern}$", "", path.stem).strip("_ ") or path.stem
    return Recording(path, speaker, UTAU.group(syllables), "song", "ja", text=alias or syllables)


def _aliases(table: Path) -> dict[str, str]:
    """Alias of each file that has just one: then it is the whole text."""
    lines = re.findall(r"^(.+?)=([^,\n]*),", read_text(table) or "", re.MULTILINE)
    count = Counter(name for name, _ in lines)
    return {name: alias.strip() for name, alias in lines if count[name] == 1 and alias.strip()}


UTAU = Voicebanks(
    "utau",
    "character.txt or oto.ini",
    marks=("character.txt", "character.yaml", "prefix.map", "oto.ini"),
    credit="UTAU voicebanks, each with a readme of its own",
)
