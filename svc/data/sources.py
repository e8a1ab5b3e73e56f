"""Recordings to prepare: corpora by their readers, plain folders of speakers, and what belongs to no speaker."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from svc.audio.find import enters, find_audio, is_hidden, may_be_audio
from svc.data import corpora
from svc.data.corpora import Recording, folder
from svc.errors import DataError
from svc.features.speaker import checked_new_name

MIN_GROUPS = 2  # of a plain folder that is split by group
Rejected = dict[str, str]  # path, speaker, reason


@dataclass(slots=True)
class Sources:
    """Recordings, what was rejected, and notes to print."""

    recordings: list[Recording] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def common_folder(roots: Sequence[Path]) -> Path:
    """The folder that paths in the manifest are relative to: the root, or what all roots have in common."""
    return roots[0] if len(roots) == 1 else Path(os.path.commonpath(roots))


def find_sources(
    roots: Sequence[Path], corpus: str | None = None, licence: str | None = None, group_regex: str | None = None
) -> Sources:
    """Recordings of one or several corpora or plain folders, of which none lies in another.

    The corpus names the reader of all of them, by the layout of each if not given; the licence is that of recordings
    whose corpus gives none; the first group of the regular expression names the song of a file of a plain folder.

    Raises:
        DataError: a root is no folder or lies in another, two corpora have a speaker of the same name, or the regular
            expression is wrong.
    """
    pattern = None if group_regex is None else folder.compile_regex(group_regex)
    sources = Sources()
    corpus_of: dict[str, str] = {}
    for root in roots:
        if any(root.resolve().is_relative_to(other.resolve()) for other in roots if other is not root):
            raise DataError(f"{root}: is or lies in another folder that you named; name it once")
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; name one that holds a folder for each speaker")
        name = corpus or corpora.detect(root)
        if pattern and name != "folder":
            raise DataError(f"--group-regex: is for plain folders, and {root} is {name}; prepare it apart")
        part = _plain_folder(root, pattern) if name == "folder" else _corpus(root, name)
        for speaker in dict.fromkeys(recording.speaker for recording in part.recordings):
            if corpus_of.setdefault(speaker, name) != name:
                raise DataError(
                    f"{speaker}: is a speaker of {corpus_of[speaker]} and of {name}; prepare them apart, or rename one"
                )
        sources.recordings += [replace(one, licence=one.licence or licence or "") for one in part.recordings]
        sources.rejected += part.rejected
        sources.notes += part.notes
    return sources


def find_by_speaker(data: Path) -> tuple[list[tuple[str, Path]], list[Rejected]]:
    """(speaker, file) of everything below the speakers' folders that may be audio, and what belongs to no speaker."""
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


def find_single_speaker(data: Path, speaker: str) -> Sources:
    """Everything in a folder of one speaker that may be audio.

    Raises:
        DataError: the folder is not there, or holds nothing that may be audio.
    """
    if data.is_file():
        raise DataError(f"{data}: is a file; put it into a folder of {speaker}'s recordings and name that")
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds recordings of {speaker}")
    name = checked_new_name(speaker)
    recordings = [Recording(path, name) for path in find_audio(data)]
    if not recordings:
        raise DataError(f"{data}: holds no recordings; put some of {speaker} there")
    return Sources(recordings)


def _plain_folder(root: Path, pattern: re.Pattern[str] | None) -> Sources:
    """A folder of speakers, or of one speaker; groups are the folders of songs where there are at least two.

    Or by the first group of a regular expression.
    """
    files, rejected = find_by_speaker(root)
    below = Path()
    if not files and any(may_be_audio(path) for path in root.iterdir()):
        below, rejected = Path(root.resolve().name), []  # its only speaker
        files = [(one.speaker, one.path) for one in find_single_speaker(root, below.name).recordings]
    recordings = [
        replace(folder.recording(path, below / path.relative_to(root)), speaker=speaker) for speaker, path in files
    ]
    if pattern and recordings:
        recordings, notes = folder.group_by_regex(recordings, root, pattern)
        return Sources(recordings, rejected, notes)
    groups = {recording.group for recording in recordings}
    if not (folder.is_split_by_file(recordings) or len(groups) < MIN_GROUPS):
        return Sources(recordings, rejected)
    note = (
        f"{root}: has no folders of songs, so it is split by file; takes of one song may be on both sides; "
        "--group-regex can name the songs"
    )
    return Sources([replace(one, group="") for one in recordings], rejected, [note] if recordings else [])


def _corpus(root: Path, name: str) -> Sources:
    sources = Sources()
    refused: set[str] = set()
    for recording in corpora.find(root, name):
        try:
            sources.recordings.append(replace(recording, speaker=checked_new_name(recording.speaker)))
        except DataError as error:
            if recording.speaker not in refused:
                sources.rejected.append({"path": root.name, "speaker": "", "reason": str(error)})
            refused.add(recording.speaker)
    return sources
