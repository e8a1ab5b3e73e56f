"""Transcripts of recordings: by the reader of a corpus, or from an ``index.csv`` of ``path`` and ``text``."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from svc.audio.find import find_audio
from svc.data import corpora
from svc.errors import DataError

INDEX = "index.csv"  # in the folder of the recordings, or the one above


def find(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every recording below a folder and its transcript, empty if there is none.

    Raises:
        DataError: there is no such folder, or a list in it cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    texts = _read_index(folder.parent / INDEX) | _read_index(folder / INDEX)
    if not texts and (name := corpora.detect(folder)) != "folder":
        texts = {recording.path: recording.text or "" for recording in corpora.find(folder, name)}
    for path in find_audio(folder):
        yield path, texts.get(path, "")


def _read_index(file: Path) -> dict[Path, str]:
    """Text by file; rows that end early have none."""
    try:
        content = file.read_text(encoding="utf-8") if file.is_file() else ""
        rows = list(csv.DictReader(io.StringIO(content, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as UTF-8 ({error}); repair or remove it") from None
    return {file.parent / row["path"]: row.get("text") or "" for row in rows if row.get("path")}
