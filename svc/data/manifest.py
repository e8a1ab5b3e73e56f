"""What lies in a prepared folder: clips, singers, rejected files, and the configuration of their features."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from svc.errors import DataError
from svc.features.speaker import Speaker
from svc.utils.atomic import write_bytes

MANIFEST = "manifest.jsonl"
VALID_SHARE = 0.1


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
class Manifest:
    """A prepared folder as read; the hash is that of the table of clips."""

    folder: Path
    clips: tuple[Clip, ...]
    singers: tuple[Speaker, ...]
    features: dict[str, Any]
    sha256: str

    def split(self, name: str) -> list[Clip]:
        """The clips of ``train`` or ``valid``."""
        return [clip for clip in self.clips if clip.split == name]

    def number(self, singer: str) -> int:
        """The index of a singer's embedding."""
        return [s.name for s in self.singers].index(singer)


def split_of(source_hash: str) -> str:
    """The split of a file by the hash of its bytes, so that adding files never moves old ones."""
    return "valid" if int(source_hash[:8], 16) / 2**32 < VALID_SHARE else "train"


def write(
    folder: Path,
    clips: Sequence[Clip],
    singers: Sequence[Speaker],
    rejected: Iterable[dict[str, str]],
    features: dict[str, Any],
) -> None:
    """Write the tables of a prepared folder; ``manifest.jsonl`` goes first and comes last: it makes it valid."""
    (folder / MANIFEST).unlink(missing_ok=True)
    tables = {
        "rejected.jsonl": _lines(rejected),
        "singers.json": json.dumps([asdict(singer) for singer in singers], indent=1) + "\n",
        "features.json": json.dumps(features, indent=1, sort_keys=True) + "\n",
        MANIFEST: _lines(asdict(clip) for clip in clips),
    }
    for name, text in tables.items():
        write_bytes(folder / name, text.encode())


def read(folder: Path) -> Manifest:
    """Read a prepared folder.

    Raises:
        DataError: it is not one.
    """
    folder = Path(folder)
    try:
        table = (folder / MANIFEST).read_bytes()
        clips = tuple(Clip(**json.loads(line)) for line in table.splitlines())
        singers = tuple(Speaker(**row) for row in json.loads((folder / "singers.json").read_text(encoding="utf-8")))
        features = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not folder.exists():
            raise DataError(f"{folder}: no such folder; name one made by `svc prepare`") from None
        raise DataError(f"{folder}: not a prepared folder; make one with `svc prepare DATA -o {folder}`") from None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder}: damaged ({error}); run `svc prepare` again") from None
    return Manifest(folder, clips, singers, features, hashlib.sha256(table).hexdigest())


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
