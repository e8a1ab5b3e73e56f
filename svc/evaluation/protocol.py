"""Evaluation protocol: which recordings lie where, and which song is converted to which target.

Sources, enrolment recordings and parallel performances are ``DIR/<speaker>/**/<song>.*``; sources of unknown speakers
may lie in ``DIR`` itself. The conversion of ``Ann/a/song.flac`` to Bob is ``DIR/Bob/Ann/a/song.*``. Bob's own
performance is ``DIR/Bob/a/song.*``, and further takes of it ``DIR/Bob/a/song.2.*``, with any suffix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from svc.audio.find import enters, find_audio, is_hidden
from svc.data.corpora.base import nfc, subfolders
from svc.errors import DataError

MAX_TEXT = 100_000  # bytes


@dataclass(frozen=True, slots=True)
class Song:
    """A source recording.

    Attributes:
        path: its file.
        speaker: the name of its folder, or an empty string.
        name: path below the speaker's folder, without the suffix.
    """

    path: Path
    speaker: str
    name: str

    @property
    def id(self) -> str:
        """``speaker/name``, the path of its conversions."""
        return f"{self.speaker}/{self.name}" if self.speaker else self.name

    @property
    def text(self) -> str | None:
        """The lyrics, if ``<song>.txt`` lies beside the file."""
        path = self.path.with_suffix(".txt")
        try:
            if not path.is_file():
                return None
            if path.stat().st_size > MAX_TEXT:
                raise DataError(f"{path}: too long for lyrics; shorten or remove it")
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}); save it as UTF-8 text or remove it") from None


@dataclass(frozen=True, slots=True)
class ConversionPair:
    """A song and a target speaker.

    Attributes:
        song: the source.
        target: speaker to convert it to.
        output: file of the conversion.
        source_filter: file of the same conversion by the source–filter stage alone, if there is one.
    """

    song: Song
    target: str
    output: Path
    source_filter: Path | None = None


def find_songs(folder: Path, skipped: list[str]) -> list[Song]:
    """All sources of a folder; names that cannot be displayed are appended to the skipped.

    Raises:
        DataError: there are none, or two of one name.
    """
    before, songs = len(skipped), dict[str, Song]()
    folders = {"": folder} | {nfc(place.name): place for place in speaker_folders(folder, "--sources", skipped)}
    for speaker, place in folders.items():
        for path in find_audio(place) if speaker else _files_in(place):
            if not _is_printable(path, place, skipped):
                continue
            song = Song(path, speaker, nfc(path.relative_to(place).with_suffix("").as_posix()))
            other = songs.setdefault(song.id, song)
            if other is not song:
                raise DataError(f"{path}: {other.path.name} beside it has the same name; rename one of them")
    if not songs:
        reason = next(iter(skipped[before:]), "put songs there, or choose another folder with --sources")
        raise DataError(f"{folder}: no recordings; {reason}")
    return list(songs.values())


def find_recordings(folder: Path, option: str, skipped: list[str]) -> dict[str, list[Path]]:
    """The recordings of every speaker of a folder; skipped as by ``find_songs``.

    Raises:
        DataError: the folder does not exist, or has no speaker's folder.
    """
    before = len(skipped)
    recordings = {nfc(place.name): list(find_audio(place)) for place in speaker_folders(folder, option, skipped)}
    recordings = {name: paths for name, paths in recordings.items() if paths}
    if not recordings:
        reason = next(iter(skipped[before:]), f"put recordings in {folder}/<speaker>/, see {option}")
        raise DataError(f"{folder}: no folders of speakers; {reason}")
    return recordings


def speaker_folders(folder: Path, option: str, skipped: list[str]) -> list[Path]:
    """The folders in a folder, but hidden ones and links into it; skipped as by ``find_songs``.

    Raises:
        DataError: the folder does not exist or cannot be listed.
    """
    try:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; choose another with {option}")
        places = [place for place in sorted(folder.iterdir()) if place.is_dir() and not is_hidden(place.name)]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); choose another with {option}") from None
    linked: set[Path] = set()
    return [place for place in places if _is_printable(place, folder, skipped) and enters(place, folder, linked)]


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
    """Pairs of the conversions in a folder.

    Args:
        songs: the sources.
        converted: the folder.
        targets: only these; all if empty.
        skipped: gets a sentence for every file without a source, every second conversion of one name, and one for all
            sources without a conversion.

    Raises:
        DataError: the folder does not exist, or has no conversion of any source, or none to these targets.
    """
    by_id = {song.id: song for song in songs}
    pairs: dict[tuple[str, str], ConversionPair] = {}
    for name, paths in find_recordings(converted, "--converted", skipped).items():
        for path in paths:
            song_id = nfc(Path(*path.relative_to(converted).with_suffix("").parts[1:]).as_posix())
            if not _is_printable(path, converted, skipped):
                continue
            if song_id not in by_id:
                skipped.append(f"{path}: no source {song_id}")
                continue
            pair = ConversionPair(by_id[song_id], name, path)
            other = pairs.setdefault((name, song_id), pair)
            if other is not pair:
                skipped.append(f"{path}: {other.output.name} beside it has the same name; rename one of them")
    if not pairs:
        raise DataError(f"{converted}: no conversion of any source; put them in <target>/<path of the source>.wav")
    chosen = [pair for pair in pairs.values() if not targets or pair.target in targets]
    if not chosen:
        there = ", ".join(dict.fromkeys(pair.target for pair in pairs.values()))
        raise DataError(f"{converted}: no conversions to {', '.join(targets)}; choose another --speaker: {there}")
    missing = sorted(by_id.keys() - {pair.song.id for pair in chosen})
    if missing:
        skipped.append(
            f"{converted}: no conversion of {len(missing)} of {len(by_id)} sources, the first is {missing[0]}"
        )
    return chosen


def _files_in(folder: Path) -> list[Path]:
    """Candidate audio files directly in a folder; ``find_audio`` yields them first."""
    return list(takewhile(lambda path: path.parent == folder, find_audio(folder)))


def _is_printable(path: Path, folder: Path, skipped: list[str]) -> bool:
    """Whether a path can be displayed; if not, append it to the skipped."""
    if str(path.relative_to(folder)).isprintable():
        return True
    skipped.append(f"{str(path)!a}: its name cannot be displayed; rename it")
    return False
