"""What is to be judged: which recordings lie in which folder, and who is to sing which.

Sources, references and parallel renditions are ``DIR/<singer>/**/<song>.*``; sources may also lie in ``DIR`` itself,
sung by nobody known. A conversion of ``Ann/a/song.flac`` to Bob is ``DIR/Bob/Ann/a/song.*``. A parallel rendition by
Bob is ``DIR/Bob/a/song.*``, and further takes of it ``DIR/Bob/a/song.2.*``, as one likes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from svc.data import prepare
from svc.errors import DataError

LONGEST_TEXT = 100_000  # bytes


@dataclass(frozen=True, slots=True)
class Song:
    """A source.

    Attributes:
        path: its file.
        singer: the name of the folder it lies in, or nothing.
        name: path below the singer's folder, without the ending.
    """

    path: Path
    singer: str
    name: str

    @property
    def key(self) -> str:
        """``singer/name``; what its conversions are called."""
        return f"{self.singer}/{self.name}" if self.singer else self.name

    @property
    def text(self) -> str | None:
        """Its words, if ``<song>.txt`` lies beside it."""
        place = self.path.with_suffix(".txt")
        try:
            if not place.is_file():
                return None
            if place.stat().st_size > LONGEST_TEXT:
                raise DataError(f"{place}: is too long for the words of a song; shorten or remove it")
            return place.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{place}: cannot be read ({error}); save it as UTF-8 text or remove it") from None


@dataclass(frozen=True, slots=True)
class Case:
    """A song to be sung by a target, and the file of that conversion."""

    song: Song
    target: str
    output: Path


def songs(folder: Path, skipped: list[str]) -> list[Song]:
    """All sources of a folder; a name that cannot be shown is a sentence more among the skipped.

    Raises:
        DataError: there are none, or two of one name.
    """
    told, found = len(skipped), dict[str, Song]()
    places = {"": folder} | {place.name: place for place in singer_folders(folder, "--sources", skipped)}
    for singer, place in places.items():
        for path in prepare.files_below(place) if singer else _loose(place):
            if not _can_be_shown(path, place, skipped):
                continue
            song = Song(path, singer, path.relative_to(place).with_suffix("").as_posix())
            twin = found.setdefault(song.key, song)
            if twin is not song:
                raise DataError(f"{path}: {twin.path.name} beside it has the same name; rename one of them")
    if not found:
        reason = next(iter(skipped[told:]), "put songs there, or name another folder with --sources")
        raise DataError(f"{folder}: no recordings; {reason}")
    return list(found.values())


def singers(folder: Path, option: str, skipped: list[str]) -> dict[str, list[Path]]:
    """The recordings of every singer of a folder of references or conversions; skipped as by ``songs``.

    Raises:
        DataError: the folder is not there.
        DataError: it holds no singer's folder.
    """
    told = len(skipped)
    found = {place.name: list(prepare.files_below(place)) for place in singer_folders(folder, option, skipped)}
    found = {name: paths for name, paths in found.items() if paths}
    if not found:
        reason = next(iter(skipped[told:]), f"put recordings in {folder}/<singer>/, see {option}")
        raise DataError(f"{folder}: no folders of singers; {reason}")
    return found


def singer_folders(folder: Path, option: str, skipped: list[str]) -> list[Path]:
    """The folders in a folder, also linked ones, without hidden ones; skipped as by ``songs``.

    Raises:
        DataError: the folder is not there, or not to be listed.
    """
    try:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; name another with {option}")
        found = [place for place in sorted(folder.iterdir()) if place.is_dir() and not place.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); name another with {option}") from None
    return [place for place in found if _can_be_shown(place, folder, skipped)]


def takes(folder: Path, singer: str, song: Song) -> list[Path]:
    """A singer's own renditions of a song: the parallel one first, then other takes of it."""
    place = folder / singer / song.name
    alike = [p for p in _loose(place.parent) if p.stem == place.name or p.stem.startswith(f"{place.name}.")]
    return sorted(alike, key=lambda p: (p.stem != place.name, p.name))


def plan(found: Sequence[Song], names: Sequence[str], count: int, out: Path) -> list[Case]:
    """Every song as its own singer, if that is one of the names, and as ``count`` others, not the same for all."""
    cases = []
    for position, song in enumerate(found):
        others = [name for name in names if name != song.singer]
        few = min(count, len(others))
        chosen = [others[(position + k * len(others) // few) % len(others)] for k in range(few)]
        own = [song.singer] if song.singer in names else []
        cases += [Case(song, name, out / name / f"{song.key}.wav") for name in dict.fromkeys([*own, *chosen])]
    return cases


def ready(found: Sequence[Song], converted: Path, targets: Sequence[str], skipped: list[str]) -> list[Case]:
    """The cases of a folder of ready conversions.

    Args:
        found: the sources.
        converted: the folder.
        targets: only these; all if empty.
        skipped: gets a sentence for every file of no source, every second conversion of one name, and for all sources
            without a conversion together.

    Raises:
        DataError: the folder is not there.
        DataError: it holds no conversion of any source, or to any of these targets.
    """
    known = {song.key: song for song in found}
    made: dict[tuple[str, str], Case] = {}
    for name, paths in singers(converted, "--converted", skipped).items():
        for path in paths:
            key = path.relative_to(converted / name).with_suffix("").as_posix()
            if not _can_be_shown(path, converted, skipped):
                continue
            if key not in known:
                skipped.append(f"{path}: no source {key}")
                continue
            case = Case(known[key], name, path)
            twin = made.setdefault((name, key), case)
            if twin is not case:
                skipped.append(f"{path}: {twin.output.name} beside it has the same name; rename one of them")
    if not made:
        raise DataError(f"{converted}: no conversion of any source; put them as <target>/<path of the source>.wav")
    cases = [case for case in made.values() if not targets or case.target in targets]
    if not cases:
        there = ", ".join(dict.fromkeys(case.target for case in made.values()))
        raise DataError(f"{converted}: no conversions to {', '.join(targets)}; take another --speaker: {there}")
    missing = sorted(known.keys() - {case.song.key for case in cases})
    if missing:
        skipped.append(
            f"{converted}: no conversion of {len(missing)} of {len(known)} sources, the first is {missing[0]}"
        )
    return cases


def _loose(folder: Path) -> list[Path]:
    """The files right in a folder that may be audio; a walk comes by them first."""
    return list(takewhile(lambda path: path.parent == folder, prepare.files_below(folder)))


def _can_be_shown(path: Path, folder: Path, skipped: list[str]) -> bool:
    """Whether a terminal, a page or a font can do with a path below a folder; else it is told among the skipped."""
    if str(path.relative_to(folder)).isprintable():
        return True
    skipped.append(f"{str(path)!a}: its name cannot be shown; rename it")
    return False
