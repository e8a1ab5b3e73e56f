"""What is to be judged: which recordings lie in which folder, and who is to sing which.

Sources, references and parallel renditions are ``DIR/<singer>/**/<song>.*``; sources may also lie in ``DIR`` itself,
sung by nobody known. A conversion of ``Ann/a/song.flac`` to Bob is ``DIR/Bob/Ann/a/song.*``. A parallel rendition by
Bob is ``DIR/Bob/a/song.*``, and further takes of it ``DIR/Bob/a/song.2.*``, as one likes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from svc.data import prepare
from svc.errors import DataError


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
            return place.read_text(encoding="utf-8") if place.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{place}: cannot be read ({error}); save it as UTF-8 text or remove it") from None


@dataclass(frozen=True, slots=True)
class Case:
    """A song to be sung by a target, and the file of that conversion."""

    song: Song
    target: str
    output: Path


def songs(folder: Path) -> list[Song]:
    """All sources of a folder.

    Raises:
        DataError: there are none, or two of one name.
    """
    _check_folder(folder, "--sources")
    found: dict[str, Song] = {}
    for path in prepare.files_below(folder):
        inner = path.relative_to(folder)
        if inner.parts[0].startswith("."):
            continue
        singer = inner.parts[0] if len(inner.parts) > 1 else ""
        name = Path(*inner.parts[1:]) if singer else inner
        song = Song(path, singer, name.with_suffix("").as_posix())
        twin = found.setdefault(song.key, song)
        if twin is not song:
            raise DataError(f"{path}: {twin.path.name} beside it has the same name; rename one of them")
    if not found:
        raise DataError(f"{folder}: no recordings; put songs there, or name another folder with --sources")
    return list(found.values())


def singers(folder: Path, option: str) -> dict[str, list[Path]]:
    """The recordings of every singer of a folder of references or parallel renditions.

    Raises:
        DataError: the folder is not there.
        DataError: it holds no singer's folder.
    """
    _check_folder(folder, option)
    found = {p.name: list(prepare.files_below(p)) for p in sorted(folder.iterdir()) if p.is_dir()}
    found = {name: paths for name, paths in found.items() if paths and not name.startswith(".")}
    if not found:
        raise DataError(f"{folder}: no folders of singers; put recordings in {folder}/<singer>/, see {option}")
    return found


def takes(folder: Path, singer: str, song: Song) -> list[Path]:
    """A singer's own renditions of a song: the parallel one first, then other takes of it."""
    place = folder / singer / song.name
    beside = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
    alike = [p for p in beside if p.stem == place.name or p.stem.startswith(f"{place.name}.")]
    return sorted((p for p in alike if p.is_file()), key=lambda p: (p.stem != place.name, p.name))


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


def ready(found: Sequence[Song], converted: Path) -> tuple[list[Case], list[str]]:
    """The cases of a folder of ready conversions, and the files in it that belong to no source.

    Raises:
        DataError: the folder is not there.
        DataError: it holds no conversion of any source.
    """
    known = {song.key: song for song in found}
    cases, strangers = [], []
    for name, paths in singers(converted, "--converted").items():
        for path in paths:
            song = known.get(path.relative_to(converted / name).with_suffix("").as_posix())
            if song is None:
                strangers.append(f"{path}: no source {path.relative_to(converted / name).with_suffix('')}")
            else:
                cases.append(Case(song, name, path))
    if not cases:
        raise DataError(f"{converted}: no conversion of any source; put them as <target>/<path of the source>.wav")
    return cases, strangers


def _check_folder(folder: Path, option: str) -> None:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name another with {option}")
