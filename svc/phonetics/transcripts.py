"""Transcripts of recordings, from the lists that corpora come with.

These are LibriSpeech's ``*.trans.txt``, LJSpeech's ``metadata.csv``, or an ``index.csv`` with the columns ``path`` and
``text``.
"""

import contextlib
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from svc.audio.find import find_audio
from svc.errors import DataError


def find(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every recording below a folder and its transcript, empty if there is none.

    Raises:
        DataError: there is no such folder, or a list in it cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    texts: dict[Path, str] = {}
    for lists in (_metadata, _index):
        with contextlib.suppress(DataError):  # what lies above may be anything
            texts |= lists(folder.parent)
    texts |= _metadata(folder) | _index(folder) | _beside(folder)
    for path in find_audio(folder):
        yield path, texts.get(path, "") or texts.get(path.with_suffix(""), "")


def _beside(folder: Path) -> dict[Path, str]:
    """Text by file without its suffix, from LibriSpeech's transcripts."""
    texts: dict[Path, str] = {}
    for place in folder.rglob("*.trans.txt"):
        rows = (line.split(maxsplit=1) for line in _text(place).splitlines())
        texts |= {place.parent / row[0]: row[1] for row in rows if len(row) == 2}
    return texts


def _metadata(folder: Path) -> dict[Path, str]:
    """Text by file without its suffix, from LJSpeech's list."""
    rows = [line.split("|") for line in _text(folder / "metadata.csv").splitlines()]
    return {folder / "wavs" / row[0]: row[-1] for row in rows if len(row) > 1}


def _index(folder: Path) -> dict[Path, str]:
    """Text by file, from a table; rows that end early have none."""
    file = folder / "index.csv"
    try:
        rows = list(csv.DictReader(io.StringIO(_text(file), newline="")))
    except csv.Error as error:
        raise DataError(f"{file}: cannot be read ({error}); repair or remove it") from None
    return {folder / row["path"]: row.get("text") or "" for row in rows if row.get("path")}


def _text(file: Path) -> str:
    """The text of a list, empty if it is not there.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except UnicodeDecodeError:
        raise DataError(f"{file}: is not UTF-8; convert it, for example with iconv") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); repair or remove it") from None
