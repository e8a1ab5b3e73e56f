"""How RAVDESS lies on disk (Livingstone and Russo 2018): ``actorNN/{song,speech}/``, a file named by what it is.

A file is called modality-channel-emotion-intensity-statement-repetition-actor; all actors sing the same melody for
an emotion, so what differs in the last number alone is one song by several singers.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from svc.errors import DataError

NAME = re.compile(r"(actor[0-9]+)/(song|speech)/[0-9]{2}-[0-9]{2}-((?:[0-9]{2}-){3})(01|02)-[0-9]{2}\.flac")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of RAVDESS.

    Attributes:
        path: the file.
        actor: name of the folder.
        kind: ``song`` or ``speech``.
        piece: emotion, intensity and statement, with a dash behind each.
        repetition: ``01`` or ``02``.
    """

    path: Path
    actor: str
    kind: str
    piece: str
    repetition: str

    @property
    def statement(self) -> str:
        """Which of the two sentences: ``01`` or ``02``."""
        return self.piece[-3:-1]


def find(data: Path) -> tuple[list[Recording], list[str]]:
    """All recordings, and why files that are called otherwise, or as another but for modality and channel, are not.

    Raises:
        DataError: there are none.
    """
    recordings: dict[tuple[str, ...], Recording] = {}
    left_out = []
    for path in sorted(data.glob("actor*/*/*.flac")):
        named = NAME.fullmatch(path.relative_to(data).as_posix())
        if named is None:
            left_out.append(f"{path}: not named like RAVDESS")
            continue
        twin = recordings.setdefault(named.groups(), Recording(path, *named.groups()))
        if twin.path != path:
            left_out.append(f"{path}: the same as {twin.path.name} beside it")
    if not recordings:
        raise DataError(f"{data}: no actorNN/song/*.flac; name the folder that holds RAVDESS")
    return list(recordings.values()), left_out
