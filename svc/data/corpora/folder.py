"""Plain folder of speakers: ``DATA/<speaker>/**/*``, by song where there are folders ``DATA/<speaker>/<song>/*``.

The layout of Amphion's custom dataset and of so-vits-svc. Folders like ``wavs`` are no songs; what lies below
``speech`` or ``read`` is speech.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from svc.data.corpora.base import UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, Kind, Layout, Recording, audio_files, nfc
from svc.errors import DataError

CREDIT = ""
LAYOUT = Layout("folder", "<speaker>/<song>/<anything>.wav or <speaker>/<anything>.wav", ())
SPEECH = {"speech", "read", "spoken", "talk"}
NO_SONGS = SPEECH | {"song", "songs", "sing", "singing", "wav", "wavs", "flac", "audio", "vocals", "clips", "raw"}


def find(root: Path, group_regex: str | None = None) -> list[Recording]:
    """Recordings in folders of speakers; a group is a folder of a song, or a file where there is none.

    Args:
        root: the folder of the speakers; files directly in it have no speaker and are left out.
        group_regex: what to take as the group from the path below the root: its first group, or the whole match.

    Raises:
        DataError: there are none, or the expression is wrong or does not fit a file.
    """
    paths = [path for path in audio_files(root) if path.parent != root]
    if not paths:
        raise LAYOUT.mismatch(root)
    return [recording(path, root, group_regex) for path in paths]


def is_split_by_file(recordings: Iterable[Recording]) -> bool:
    """Whether there are no songs: every group is a file's own name."""
    return all(one.group.endswith("/" + nfc(one.path.stem)) for one in recordings)


def recording(path: Path, root: Path, group_regex: str | None = None) -> Recording:
    """Recording in the folder of a speaker below a root; see ``find``."""
    below = path.relative_to(root)
    speaker, *folders = below.parts[:-1]
    kind: Kind = "speech" if SPEECH & {name.lower() for name in folders} else "song"
    songs = [name for name in folders if name.lower() not in NO_SONGS]
    group = _match(below, group_regex) if group_regex else songs[0] if songs else below.stem
    parts = (group,) if kind == "song" else ("speech", group)
    return Recording(path, nfc(speaker), LAYOUT.group(*parts), kind, UNKNOWN_LANGUAGE, UNKNOWN_LICENCE)


def _match(below: Path, group_regex: str) -> str:
    try:
        match = re.search(group_regex, nfc(below.as_posix()))
    except re.error as error:
        raise DataError(f"group regex {group_regex!r}: {error}; correct it") from None
    if match is None:
        raise DataError(f"{below}: group regex {group_regex!r} does not fit; correct it or remove the file")
    return next((group for group in match.groups() if group), match[0])
