"""Plain folder of speakers: ``DATA/<speaker>/**/*``, by song where there are folders ``DATA/<speaker>/<song>/*``.

The layout of Amphion's custom dataset and of so-vits-svc. Folders like ``wavs`` are no songs; what lies below
``speech`` or ``read`` is speech. Or a regular expression says which part of a path is the song.
"""

import re
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from svc.data.corpora.base import Corpus, Kind, Recording, audio_files, nfc
from svc.errors import DataError

SPEECH = {"speech", "read", "spoken", "talk"}
NO_SONGS = SPEECH | {"song", "songs", "sing", "singing", "wav", "wavs", "flac", "audio", "vocals", "clips", "raw"}
REGEX_SECONDS = 10.0


class PlainFolder(Corpus):
    """Folders of speakers."""

    def find(self, root: Path) -> list[Recording]:
        """Recordings; a group is a folder of a song, or a file. Files directly in the folder have no speaker.

        Raises:
            DataError: there are none.
        """
        paths = [path for path in audio_files(root) if path.parent != root]
        if not paths:
            raise self.mismatch(root)
        return [recording(path, path.relative_to(root)) for path in paths]


def is_split_by_file(recordings: Iterable[Recording]) -> bool:
    """Whether there are no songs: every group is a file's own name."""
    return all(one.group.endswith("/" + nfc(one.path.stem)) for one in recordings)


def recording(path: Path, below: Path) -> Recording:
    """Recording by its path below the folder of the speakers."""
    speaker, *folders = below.parts[:-1]
    kind: Kind = "speech" if SPEECH & {name.lower() for name in folders} else "song"
    songs = [name for name in folders if name.lower() not in NO_SONGS]
    return Recording(path, nfc(speaker), FOLDER.group_of_kind(kind, songs[0] if songs else below.stem), kind)


def compile_regex(text: str) -> re.Pattern[str]:
    """A regular expression whose first group names the song.

    Raises:
        DataError: it is none, or has no group.
    """
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(f"--group-regex {text}: is no regular expression ({error}); correct it") from None
    if not pattern.groups:
        raise DataError(f"--group-regex {text}: has no group; put what names the song into parentheses")
    return pattern


def group_by_regex(
    recordings: Sequence[Recording], root: Path, pattern: re.Pattern[str]
) -> tuple[list[Recording], list[str]]:
    """Recordings with the song that the first group finds in their path below a folder, and notes to print.

    Those that do not match keep their group.

    Raises:
        DataError: none matches, or it takes for ever.
    """
    option = f"--group-regex {pattern.pattern}"
    names = [nfc(one.path.relative_to(root).as_posix()) for one in recordings]
    with _time_limit(f"{option}: takes too long on file names; repeat nothing that is repeated within"):
        songs = [match[1] if (match := pattern.search(name)) else "" for name in names]
    others = [name for name, song in zip(names, songs, strict=True) if not song]
    if len(others) == len(names):
        raise DataError(f"{option}: finds no song in {names[0]}, nor in any other file; correct it")
    note = f"{option}: finds no song in {len(others)} of {len(names)} files, as {others[0]}" if others else ""
    return [
        replace(one, group=FOLDER.group_of_kind(one.kind, song)) if song else one
        for one, song in zip(recordings, songs, strict=True)
    ], [note] if note else []


@contextmanager
def _time_limit(message: str) -> Iterator[None]:
    """Raise DataError after ten seconds, where the system has such a timer."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise DataError(message)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, REGEX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


FOLDER = PlainFolder("folder", "<speaker>/<song>/<anything>.wav or <speaker>/<anything>.wav")
