"""Plain folder of speakers: ``DATA/<speaker>/**/*``, by song where there are folders ``DATA/<speaker>/<song>/*``.

The layout of Amphion's custom dataset and of so-vits-svc. Folders like ``wavs`` are no songs; what lies below
``speech`` or ``read`` is speech.
"""

from collections.abc import Iterable
from pathlib import Path

from svc.data.corpora.base import Corpus, Kind, Recording, audio_files, nfc

SPEECH = {"speech", "read", "spoken", "talk"}
NO_SONGS = SPEECH | {"song", "songs", "sing", "singing", "wav", "wavs", "flac", "audio", "vocals", "clips", "raw"}


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


FOLDER = PlainFolder("folder", "<speaker>/<song>/<anything>.wav or <speaker>/<anything>.wav")
