"""Recordings to prepare: corpora by their readers, plain folders of speakers, and what belongs to no speaker."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from svc.audio.find import enters, find_audio, is_hidden, may_be_audio
from svc.data import corpora
from svc.data.corpora import folder
from svc.data.corpora.base import UNKNOWN_LANGUAGE, UNKNOWN_LICENCE, Recording
from svc.data.corpora.split import Side
from svc.data.process_file import Rejected
from svc.errors import DataError
from svc.features.speaker import checked_new_name

MIN_GROUPS = 2  # of a plain folder that is split by group


@dataclass(frozen=True, slots=True)
class Source:
    """A recording to prepare, as ``svc.data.corpora.Recording``; empty fields are not known.

    Attributes:
        corpus: name of the reader.
        group: empty: the file is split by itself.
    """

    speaker: str
    path: Path
    corpus: str = ""
    group: str = ""
    kind: str = ""
    language: str = ""
    licence: str = ""
    start: float | None = None
    end: float | None = None
    split: Side | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Recordings of all roots, what was rejected, and notes to print."""

    sources: list[Source]
    rejected: list[Rejected]
    notes: list[str]


def common_folder(roots: Sequence[Path]) -> Path:
    """The folder that paths in the manifest are relative to: the root, or what all roots have in common."""
    return roots[0] if len(roots) == 1 else Path(os.path.commonpath(roots))


def find_sources(roots: Sequence[Path], corpus: str | None = None, licence: str | None = None) -> Sources:
    """Recordings of one or several corpora or plain folders.

    Args:
        roots: folders; none lies in another.
        corpus: name of the reader of all of them; by the layout of each if not given.
        licence: of recordings whose corpus gives none.

    Raises:
        DataError: a root is no folder or lies in another, or two corpora have a speaker of the same name.
    """
    _check_roots(roots)
    parts = []
    for root in roots:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; name one that holds a folder for each speaker")
        name = corpora.detect(root) if corpus is None else corpus
        parts.append(_plain_folder(root) if name == "folder" else _corpus(root, name))
    sources = [source for part in parts for source in part.sources]
    _check_speakers(sources)
    if licence:
        sources = [_with_licence(source, licence) for source in sources]
    return Sources(sources, [r for part in parts for r in part.rejected], [n for part in parts for n in part.notes])


def find_by_speaker(data: Path) -> tuple[list[tuple[str, Path]], list[Rejected]]:
    """(speaker, file) of everything below the speakers' folders that may be audio, and what belongs to no speaker.

    Raises:
        DataError: the folder is not there.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds a folder for each speaker")
    files: list[tuple[str, Path]] = []
    reasons: dict[str, str] = {}
    linked: set[Path] = set()
    for path in sorted(data.iterdir(), key=lambda path: (path.is_symlink(), path.name)):
        if is_hidden(path.name):
            continue
        if not path.is_dir():
            if may_be_audio(path):
                reasons[path.name] = f"{path}: belongs to no speaker; move it into a folder of its speaker's name"
        elif not enters(path, data, linked):
            reasons[path.name] = f"{path}: links to recordings that have another speaker here; remove the link"
        else:
            try:
                name = checked_new_name(path.name)
                files += [(name, file) for file in find_audio(path, data, linked)]
            except DataError as error:
                reasons[path.name] = str(error)
    return files, [{"path": name, "speaker": "", "reason": reason} for name, reason in reasons.items()]


def find_single_speaker(data: Path, speaker: str) -> list[tuple[str, Path]]:
    """(speaker, file) of everything in a folder of one speaker that may be audio.

    Raises:
        DataError: the folder is not there, or holds nothing that may be audio.
    """
    if data.is_file():
        raise DataError(f"{data}: is a file; put it into a folder of {speaker}'s recordings and name that")
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds recordings of {speaker}")
    name = checked_new_name(speaker)
    files = [(name, path) for path in find_audio(data)]
    if not files:
        raise DataError(f"{data}: holds no recordings; put some of {speaker} there")
    return files


def _plain_folder(root: Path) -> Sources:
    """A folder of speakers, or of one speaker; groups are the folders of songs where there are at least two."""
    files, rejected = find_by_speaker(root)
    below = Path()
    if not files and any(may_be_audio(path) for path in root.iterdir()):
        below = Path(root.resolve().name)  # its only speaker
        files, rejected = find_single_speaker(root, below.name), []
    recordings = [replace(folder.recording(below / path.relative_to(root), Path()), path=path) for _, path in files]
    groups = {recording.group for recording in recordings}
    by_file = folder.is_split_by_file(recordings) or len(groups) < MIN_GROUPS
    sources = [
        _source(recording, speaker, "folder", "" if by_file else recording.group)
        for (speaker, _), recording in zip(files, recordings, strict=True)
    ]
    note = f"{root}: has no folders of songs, so it is split by file; takes of one song may be on both sides"
    return Sources(sources, rejected, [note] if by_file and sources else [])


def _corpus(root: Path, name: str) -> Sources:
    sources: list[Source] = []
    reasons: dict[str, str] = {}
    for recording in corpora.find(root, name):
        try:
            sources.append(_source(recording, checked_new_name(recording.speaker), name, recording.group))
        except DataError as error:
            reasons.setdefault(recording.speaker, str(error))
    return Sources(sources, [{"path": root.name, "speaker": "", "reason": reason} for reason in reasons.values()], [])


def _source(recording: Recording, speaker: str, corpus: str, group: str) -> Source:
    return Source(
        speaker,
        recording.path,
        corpus,
        group,
        recording.kind,
        "" if recording.language == UNKNOWN_LANGUAGE else recording.language,
        "" if recording.licence == UNKNOWN_LICENCE else recording.licence,
        recording.start,
        recording.end,
        recording.split,
    )


def _with_licence(source: Source, licence: str) -> Source:
    return source if source.licence else replace(source, licence=licence)


def _check_roots(roots: Sequence[Path]) -> None:
    real = [root.resolve() for root in roots]
    for number, root in enumerate(real):
        if any(root.is_relative_to(other) for place, other in enumerate(real) if place != number):
            raise DataError(f"{roots[number]}: is or lies in another folder that you named; name it once")


def _check_speakers(sources: Sequence[Source]) -> None:
    corpus_of: dict[str, str] = {}
    for source in sources:
        other = corpus_of.setdefault(source.speaker, source.corpus)
        if other != source.corpus:
            raise DataError(
                f"{source.speaker}: is a speaker of {other} and of {source.corpus}; prepare them apart, or rename one"
            )
