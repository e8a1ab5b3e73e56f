"""Find audio files in a folder tree."""

import os
from collections.abc import Iterator
from pathlib import Path

_PCM = (".wav", ".wave", ".w64", ".rf64", ".flac", ".aif", ".aiff", ".aifc", ".au", ".caf")
_LOSSY = (".ogg", ".oga", ".opus", ".spx", ".mp1", ".mp2", ".mp3", ".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr")
_LOSSLESS = (".ape", ".wv", ".tta", ".dsf", ".dff")
AUDIO = frozenset((*_PCM, *_LOSSY, *_LOSSLESS))  # also formats that the audio reader may refuse with its reason
_SYSTEM_FOLDERS = {"__MACOSX", "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "lost+found", "@eaDir"}
_SIGNATURES = (b"fLaC", b"OggS", b"ID3", b".snd", b"caff", b"riff")  # of audio files with any name


def find_audio(folder: Path, tree: Path | None = None, linked: set[Path] | None = None) -> Iterator[Path]:
    """Audio files below a folder, however deep, in the order of their names, links last; no hidden or system folders.

    A link to a folder is followed unless it leads to the tree, into it or above it: what is there has a path of its
    own.

    Args:
        folder: where to look.
        tree: the whole that it is part of; the folder itself if not given.
        linked: folders outside the tree that links led to; no folder is entered twice.
    """
    tree = (tree or folder).resolve()
    linked = set() if linked is None else linked
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(
            (name for name in folders if not is_hidden(name)), key=lambda name: (Path(root, name).is_symlink(), name)
        )
        folders[:] = [name for name in folders if enters(Path(root, name), tree, linked)]
        yield from (path for name in sorted(names) if may_be_audio(path := Path(root, name)))


def enters(folder: Path, tree: Path, linked: set[Path]) -> bool:
    """Whether to enter a folder of a tree, see ``find_audio``; of a link it is noted where it leads."""
    if not folder.is_symlink():
        return not linked or folder.resolve() not in linked
    target, tree = folder.resolve(), tree.resolve()
    if target.is_relative_to(tree) or tree.is_relative_to(target):
        return False
    if any(target.is_relative_to(other) for other in linked):
        return False
    linked.add(target)
    return True


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or one of an operating system: a trash, an index, an archive's leftovers."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


def is_audio(name: str) -> bool:
    """Whether a file name is that of an audio file, and not of a hidden one."""
    return not name.startswith(".") and Path(name).suffix.lower() in AUDIO


def may_be_audio(path: Path) -> bool:
    """Whether a file has the name of an audio file, or begins like one; not a hidden one."""
    if is_audio(path.name) or path.name.startswith(".") or not path.is_file():
        return is_audio(path.name)
    try:
        with path.open("rb") as stream:
            head = stream.read(12)
    except (OSError, ValueError):
        return False
    chunks = head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM") and head[8:] in (b"WAVE", b"AIFF", b"AIFC")
    return chunks or head.startswith(_SIGNATURES)
