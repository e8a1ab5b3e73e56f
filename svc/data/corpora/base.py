"""Recording of a corpus, directory layout of a corpus, and what all corpus readers share."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from svc.audio.find import find_audio, is_audio, is_hidden
from svc.data.corpora.split import Side
from svc.errors import DataError, printable
from svc.features.speaker import MAX_NAME

Kind = Literal["song", "speech", ""]

RESEARCH_ONLY = "research only"
NO_LANGUAGE = "zxx"  # ISO 639-2: no linguistic content
MAX_DEPTH = 3  # levels below the given folder where a corpus is searched
_MAX_NAMES = 4  # names in a message


@dataclass(frozen=True, slots=True)
class Recording:
    """Audio file of a corpus, or a segment of one, with what the corpus says about it; empty where it is not known."""

    path: Path  # the audio file
    speaker: str  # who sings or speaks, unique within the corpus
    group: str = ""  # song or sentence, the same for all speakers and takes; the unit of the train/valid/test split
    kind: Kind = ""  # ``song`` or ``speech``
    language: str = ""  # ISO 639-1 code, ``zxx`` where nothing is said (vowels)
    licence: str = ""  # of the recording, as its publisher calls it
    text: str | None = None  # lyrics or transcript
    start: float | None = None  # of the segment in seconds; from the beginning of the file if ``None``
    end: float | None = None  # of the segment in seconds; to the end of the file if ``None``
    # side that the corpus's authors publish, where theirs keeps songs together; goes before the hash
    split: Side | None = None


Read = Callable[[Path, list[Path]], Iterable[Recording]]  # the recordings of the files of one root


def each(recording: Callable[[Path], Recording | None]) -> Read:
    """Read every file by itself; None leaves it out."""
    return lambda _root, paths: [read for read in map(recording, paths) if read]


@dataclass(frozen=True)
class Corpus:
    """Reader of a corpus by its directory layout."""

    name: str  # of the corpus
    example: str  # path of a recording below the corpus's root, for messages
    patterns: tuple[str, ...] = ()  # globs of the recordings, relative to the corpus's root
    marks: tuple[str, ...] = ()  # globs of files that only this corpus has; the patterns if there are none
    credit: str = ""  # whom a voice has to name that is trained on it
    read: Read = lambda _root, _paths: ()  # the recordings of the files of a root
    takes: Callable[[str], Iterable[str]] = lambda name: (
        name,
    )  # names that takes of a file's song by its speaker have

    def find(self, root: Path) -> list[Recording]:
        """All recordings of the corpus below a folder.

        Raises:
            DataError: there are none, or a table of the corpus cannot be read.
        """
        return [recording for folder in self.roots(root) for recording in self.read(folder, self.files(folder))]

    def matches(self, folder: Path) -> bool:
        """Whether a folder is a root of this corpus."""
        if self.marks:
            return any(_is_visible(path, folder) for mark in self.marks for path in folder.glob(mark))
        return any(True for _ in self._matching(folder))

    def roots(self, folder: Path) -> list[Path]:
        """Roots of this corpus: the folder itself, or the nearest folders below it with this layout.

        Raises:
            DataError: there is none.
        """
        check_folder(folder)
        level = [folder]
        for _ in range(MAX_DEPTH + 1):
            roots = [candidate for candidate in level if self.matches(candidate)]
            if roots:
                return roots
            level = [below for parent in level for below in subfolders(parent)]
        raise self.mismatch(folder)

    def files(self, root: Path) -> list[Path]:
        """Recordings below the root of a corpus by its patterns, sorted, each once."""
        return sorted(set(self._matching(root)))

    def group(self, *parts: str) -> str:
        """Name of a group: corpus and parts, in Unicode's composed form."""
        return nfc("/".join((self.name, *parts)))

    def group_of_kind(self, kind: Kind, name: str) -> str:
        """Name of a group where speech and song of one name are groups apart."""
        return self.group("speech", name) if kind == "speech" else self.group(name)

    def mismatch(self, folder: Path) -> DataError:
        """Error of a wrong root: what the corpus looks like and what is there instead."""
        return DataError(
            f"{folder}: expected {self.example} ({self.name}), saw {describe(folder)}; "
            "name the folder that holds it, or choose another corpus"
        )

    def _matching(self, folder: Path) -> Iterator[Path]:
        for pattern in self.patterns:
            yield from (path for path in folder.glob(pattern) if is_audio(path.name) and _is_visible(path, folder))


def subfolders(folder: Path) -> list[Path]:
    """Folders directly in a folder, without hidden ones and those of an operating system, sorted."""
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name) and path.is_dir())


def audio_files(folder: Path) -> Iterator[Path]:
    """Audio files in a folder, however deep, in order; follows links, enters no folder twice and no hidden one.

    Raises:
        DataError: it is not a folder.
    """
    check_folder(folder)
    yield from (path for path in find_audio(folder) if is_audio(path.name))


def has_audio(folder: Path) -> bool:
    """Whether there is an audio file in a folder, however deep."""
    return next(audio_files(folder), None) is not None


def check_folder(folder: Path) -> None:
    """A path is that of a folder.

    Raises:
        DataError: it is not.
    """
    if not folder.exists():
        raise DataError(f"{folder}: no such folder; name one that holds a corpus")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; name the folder that holds it")


def describe(folder: Path) -> str:
    """What is directly in a folder, for messages: a few folders by name and the number of files."""
    names = [path.name for path in subfolders(folder)]
    files = sum(path.is_file() for path in folder.iterdir())
    shown = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
    return printable(f"{len(names)} folders ({shown}) and {files} files" if names else f"{files} files, no folders")


def speaker_name(text: str) -> str:
    """A speaker's name from a table or a folder, fit for file names and command lines; empty if nothing is left."""
    words = "".join(c if c.isprintable() else " " for c in nfc(text)).split()
    fit = re.sub(r'[/\\:*?"<>|]+|[.]{2,}', "-", " ".join(words))
    return fit.strip(" .-")[:MAX_NAME].strip(" .-")


def nfc(text: str) -> str:
    """Text in Unicode's composed form (NFC), so that names from a Mac equal those from elsewhere."""
    return unicodedata.normalize("NFC", text)


def read_text(path: Path) -> str | None:
    """Text of a small file, UTF-8 or Shift-JIS, without blanks around it; ``None`` if it is absent or empty.

    Raises:
        DataError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); repair or remove it") from None
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return content.decode(encoding).strip() or None
        except UnicodeDecodeError:
            continue
    return content.decode("utf-8", "replace").strip() or None


def read_fields(path: Path, separator: str = "|") -> dict[str, list[str]]:
    """Table of a corpus without quotes: the first field of each line, and the others however many.

    Raises:
        DataError: it cannot be read.
    """
    lines = (line.split(separator) for line in (read_text(path) or "").splitlines() if line.strip())
    return {first.strip(): [field.strip() for field in others] for first, *others in lines}


def _is_visible(path: Path, folder: Path) -> bool:
    return not any(is_hidden(part) for part in path.relative_to(folder).parts)
