"""UTAU voicebanks: syllables or strings of syllables that one speaker sings on one or several pitches.

Layout, in upper or lower case: a bank has ``character.txt`` (``name=…``, often Shift-JIS) and audio beside it or in a
folder for each pitch, each with ``oto.ini`` (``file.wav=alias,offset,…``). A folder of audio alone is a bank too, with
the folder's name. The licence is each bank's own; its readme says it.
"""

import re
from collections import Counter
from pathlib import Path

from svc.audio.find import is_audio
from svc.data.corpora.base import (
    MAX_DEPTH,
    Corpus,
    Recording,
    audio_files,
    check_folder,
    read_text,
    speaker_name,
    subfolders,
)

_PITCH = re.compile(r"[ _]?[A-G][#b♯♭]?[1-7]")


class Voicebanks(Corpus):
    """Voicebanks: folders with a table of theirs, however deep each lies, or one folder of audio alone."""

    def matches(self, folder: Path) -> bool:
        """Whether a folder holds a table of a voicebank."""
        return any(path.name.lower() in self.marks for path in folder.iterdir())

    def roots(self, folder: Path) -> list[Path]:
        """The nearest folders with a table, on every branch.

        Raises:
            DataError: there is none.
        """
        check_folder(folder)
        if roots := self.banks(folder):
            return roots
        raise self.mismatch(folder)

    def banks(self, folder: Path, depth: int = MAX_DEPTH) -> list[Path]:
        """``roots``, or none."""
        if self.matches(folder):
            return [folder]
        return [bank for below in subfolders(folder) for bank in self.banks(below, depth - 1)] if depth else []

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
    name = re.search(r"^name=(.+)$", _read(bank, "character.txt"), re.MULTILINE | re.IGNORECASE)
    speaker = speaker_name(name[1] if name else "") or speaker_name(bank.resolve().name)
    paths = list(audio_files(bank))
    aliases = {folder: _aliases(_read(folder, "oto.ini")) for folder in {path.parent for path in paths}}
    return [_recording(path, speaker, aliases[path.parent].get(path.name)) for path in paths]


def _recording(path: Path, speaker: str, alias: str | None) -> Recording:
    syllables = re.sub(rf"(?<=.){_PITCH.pattern}$", "", path.stem).strip("_ ") or path.stem
    return Recording(path, speaker, UTAU.group(syllables), "song", "ja", text=alias or syllables)


def _read(folder: Path, name: str) -> str:
    """Text of a table in a folder, whose name is in upper or lower case; empty if it is not there."""
    return next((read_text(path) or "" for path in sorted(folder.iterdir()) if path.name.lower() == name), "")


def _aliases(table: str) -> dict[str, str]:
    """Alias of each file that has just one: then it is the whole text."""
    lines = re.findall(r"^(.+?)=([^,\n]*),", table, re.MULTILINE)
    count = Counter(name for name, _ in lines)
    return {name: alias.strip() for name, alias in lines if count[name] == 1 and alias.strip()}


UTAU = Voicebanks(
    "utau",
    "character.txt or oto.ini",
    marks=("character.txt", "character.yaml", "prefix.map", "oto.ini"),
    credit="UTAU voicebanks, each with a readme of its own",
)
