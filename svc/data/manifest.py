"""What lies in a prepared folder: clips, singers, rejected files, and the configuration of their features."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from svc.errors import DataError

VALID_SHARE = 0.1
_NAME = re.compile(r"[\w][\w .,'()+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Clip:
    """One file of one singer.

    Attributes:
        path: as found, relative to the data folder.
        singer: name.
        key: of its entry in the feature store.
        frames: N.
        active: frames where somebody sings.
        split: ``train`` or ``valid``.
    """

    path: str
    singer: str
    key: str
    frames: int
    active: int
    split: str


@dataclass(frozen=True, slots=True)
class Singer:
    """Somebody who can be sung as.

    Attributes:
        name: free text of at most 64 letters, digits, spaces and ``_.,'()+-``.
        seconds: of accepted audio.
        median_f0: Hz over all voiced frames.
        low_f0: Hz, 5th percentile.
        high_f0: Hz, 95th percentile.
    """

    name: str
    seconds: float
    median_f0: float
    low_f0: float
    high_f0: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """A prepared folder as read."""

    folder: Path
    clips: tuple[Clip, ...]
    singers: tuple[Singer, ...]
    features: dict[str, Any]

    def split(self, name: str) -> list[Clip]:
        """The clips of ``train`` or ``valid``."""
        return [clip for clip in self.clips if clip.split == name]

    def number(self, singer: str) -> int:
        """The index of a singer's embedding."""
        return [s.name for s in self.singers].index(singer)


def checked_name(name: str) -> str:
    """A singer's name fit for files, tables and command lines.

    Raises:
        DataError: it is not.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise DataError(f"{name!r} is no singer's name; use 1 to 64 letters, digits, spaces and _.,'()+-")
    return name


def split_of(source_hash: str) -> str:
    """The split of a file by the hash of its bytes, so that adding files never moves old ones."""
    return "valid" if int(source_hash[:8], 16) / 2**32 < VALID_SHARE else "train"


def write(
    folder: Path,
    clips: Sequence[Clip],
    singers: Sequence[Singer],
    rejected: Iterable[dict[str, str]],
    features: dict[str, Any],
) -> None:
    """Write the tables of a prepared folder; ``manifest.jsonl`` comes last and is what makes it valid."""
    _replace(folder / "rejected.jsonl", _lines(rejected))
    _replace(folder / "singers.json", json.dumps([asdict(s) for s in singers], indent=1, ensure_ascii=False) + "\n")
    _replace(folder / "features.json", json.dumps(features, indent=1, sort_keys=True) + "\n")
    _replace(folder / "manifest.jsonl", _lines(asdict(clip) for clip in clips))


def read(folder: Path) -> Manifest:
    """Read a prepared folder.

    Raises:
        DataError: it is not one.
    """
    folder = Path(folder)
    try:
        lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        clips = tuple(Clip(**json.loads(line)) for line in lines)
        singers = tuple(Singer(**row) for row in json.loads((folder / "singers.json").read_text(encoding="utf-8")))
        features = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder}: not a prepared folder; make one with `svc prepare DATA -o {folder}`") from None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder}: damaged ({error}); run `svc prepare` again") from None
    return Manifest(folder, clips, singers, features)


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
