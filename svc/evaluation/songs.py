"""Evaluation protocol: which recordings lie where, and which song is converted to which target.

Sources, enrolment recordings and parallel performances are ``DIR/<speaker>/**/<song>.*``; sources of unknown speakers
may lie in ``DIR`` itself. The conversion of ``Ann/a/song.flac`` to Bob is ``DIR/Bob/Ann/a/song.*``. Bob's own
performance is ``DIR/Bob/a/song.*``, and further takes of it ``DIR/Bob/a/song.2.*``, with any suffix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from svc.audio.find import enters, find_audio
from svc.data.corpora.base import nfc, subfolders
from svc.errors import DataError, printable


@dataclass(frozen=True, slots=True)
class Song:
    """A source recording."""

    path: Path
    speaker: str  # the name of its folder, or an empty string
    name: str  # path below the speaker's folder, without the suffix

    @property
    def id(self) -> str:
        """``speaker/name``, the path of its conversions."""
        return f"{self.speaker}/{self.name}" if self.speaker else self.name

    @property
    def text(self) -> str | None:
        """The lyrics, if ``<song>.txt`` lies beside the file."""
        path = self.path.with_suffix(".txt")
        try:
            return path.read_text(encoding="utf-8-sig") if path.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}); save it as UTF-8 text or remove it") from None


@dataclass(frozen=True, slots=True)
class ConversionPair:
    """A song and a target speaker."""

    song: Song
    target: str
    output: Path  # file of the conversion
    source_filter: Path | None = None  # file of the same conversion by the source–filter stage alone


def find_songs(folder: Path) -> list[Song]:
    """All sources of a folder.

    Raises:
        DataError: there are none, or two of one name.
    """
    songs: dict[str, Song] = {}
    for speaker, place in {"": folder, **speaker_folders(folder, "--sources")}.items():
        for path in find_audio(place) if speaker else _files_in(place):
            song = Song(path, speaker, _name(path.relative_to(place).with_suffix("")))
            other = songs.setdefault(song.id, song)
            if other is not song:
                raise DataError(f"{path}: {other.path.name} beside it has the same name; rename one of them")
    if not songs:
        raise DataError(f"{folder}: no recordings; put songs there, or choose another folder with --sources")
    return list(songs.values())


def find_recordings(folder: Path, option: str) -> dict[str, list[Path]]:
    """The recordings of every speaker of a folder.

    Raises:
        DataError: the folder does not exist, or has no speaker's folder.
    """
    recordings = {name: list(find_audio(place)) for name, place in speaker_folders(folder, option).items()}
    recordings = {name: paths for name, paths in recordings.items() if paths}
    if not recordings:
        raise DataError(f"{folder}: no folders of speakers; put recordings in {folder}/<speaker>/, see {option}")
    return recordings


def speaker_folders(folder: Path, option: str) -> dict[str, Path]:
    """The folders in a folder by name, but hidden ones and links into it.

    Raises:
        DataError: the folder does not exist or cannot be listed.
    """
    linked: set[Path] = set()
    try:
        return {_name(Path(place.name)): place for place in subfolders(folder) if enters(place, folder, linked)}
    except OSError as error:
        reason = "no such folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise DataError(f"{folder}: {reason}; choose another with {option}") from None


def find_parallel_takes(folder: Path, speaker: str, song: Song) -> list[Path]:
    """A speaker's own performances of a song: ``<song>.*`` first, then other takes ``<song>.2.*``."""
    *parents, name = speaker, *song.name.split("/")
    for parent in parents:
        places = subfolders(folder) if folder.is_dir() else []
        folder = next((place for place in places if nfc(place.name) == parent), folder / parent)
    matching = [p for p in _files_in(folder) if nfc(p.stem) == name or nfc(p.stem).startswith(f"{name}.")]
    return sorted(matching, key=lambda p: (nfc(p.stem) != name, p.name))


def plan_conversions(songs: Sequence[Song], speakers: Sequence[str], count: int, out: Path) -> list[ConversionPair]:
    """Pair every song with its own speaker, if that is among the speakers, and with ``count`` others in rotation."""
    pairs = []
    for position, song in enumerate(songs):
        others = [name for name in speakers if name != song.speaker]
        few = min(count, len(others))
        chosen = [others[(position + k * len(others) // few) % len(others)] for k in range(few)]
        own = [song.speaker] if song.speaker in speakers else []
        targets = dict.fromkeys([*own, *chosen])
        pairs += [ConversionPair(song, name, out / name / f"{song.id}.wav") for name in targets]
    return pairs


def match_existing_conversions(
    songs: Sequence[Song], converted: Path, targets: Sequence[str], skipped: list[str]
) -> list[ConversionPair]:
    """Pairs of the conversions in a folder, to some targets only unless these are empty.

    Files without a source, second conversions of one name, and sources without a conversion are added to the skipped.

    Raises:
        DataError: the folder does not exist, or has no conversion of any source, or none to these targets.
    """
    by_id = {song.id: song for song in songs}
    pairs: dict[tuple[str, str], ConversionPair] = {}
    for target, paths in find_recordings(converted, "--converted").items():
        for path in paths:
            song_id = _name(Path(*path.relative_to(converted).with_suffix("").parts[1:]))
            if song_id not in by_id:
                skipped.append(f"{path}: no source {song_id}")
                continue
            pair = ConversionPair(by_id[song_id], target, path)
            other = pairs.setdefault((target, song_id), pair)
            if other is not pair:
                skipped.append(f"{path}: {other.output.name} beside it has the same name; rename one of them")
    if not pairs:
        raise DataError(f"{converted}: no conversion of any source; put them in <target>/<path of the source>.wav")
    chosen = [pair for pair in pairs.values() if not targets or pair.target in targets]
    if not chosen:
        names = ", ".join(dict.fromkeys(pair.target for pair in pairs.values()))
        raise DataError(f"{converted}: no conversions to {', '.join(targets)}; choose another --speaker: {names}")
    missing = sorted(by_id.keys() - {pair.song.id for pair in chosen})
    if missing:
        skipped.append(f"{converted}: no conversion of {len(missing)} of {len(by_id)} sources, as of {missing[0]}")
    return chosen


def _name(path: Path) -> str:
    """A relative path as text that can be displayed, the same from every operating system."""
    return printable(nfc(path.as_posix()))


def _files_in(folder: Path) -> list[Path]:
    """Candidate audio files directly in a folder; ``find_audio`` yields them first."""
    return list(takewhile(lambda path: path.parent == folder, find_audio(folder)))
