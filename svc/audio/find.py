"""Find audio files in a folder tree."""

import os
from collections.abc import Iterator
from pathlib import Path

_NOT_AUDIO = {".txt", ".lab", ".csv", ".json", ".md", ".mid", ".textgrid", ".pdf", ".html", ".yaml", ".ini"}


def find_audio(folder: Path) -> Iterator[Path]:
    """Everything below a folder that may be audio, however deep, in the order of its names."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names) if may_be_audio(name))


def may_be_audio(name: str) -> bool:
    """Whether a file name is neither hidden nor has the suffix of a text or a score."""
    return not name.startswith(".") and Path(name).suffix.lower() not in _NOT_AUDIO
