"""A folder of songs, converted one after the other; called again it goes on where it was stopped."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from svc.data.prepare import files_below
from svc.errors import DataError, SvcError, printable
from svc.inference import speakers
from svc.inference.convert_file import Wish, convert_file
from svc.inference.converter import Converter
from svc.inference.speaker_mix import cast
from svc.inference.voice import Voice
from svc.utils.atomic import write_bytes

MARK = ".svc-songs"  # in a folder of converted songs: who sings them, and how
MAX_MARK = 10_000  # bytes

Pairs = Sequence[tuple[Path, Path]]  # songs, and where they go


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a song of a folder: ``made``, ``there`` already, or ``refused``; and more in words."""

    song: Path
    target: Path
    became: Literal["made", "there", "refused"]
    words: str


def plan(folder: Path, out: Path, ending: str) -> Pairs:
    """Every song below a folder, and where it goes, at the same place below another.

    Raises:
        DataError: there are no songs, or two would have one name.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{out}: lies inside {folder}, where it would pass for a song; choose another -o")
    pairs = [(song, out / song.relative_to(folder).with_suffix(ending)) for song in files_below(folder)]
    targets = [target for _, target in pairs]
    double = next((target for target in targets if targets.count(target) > 1), None)
    if double:
        raise DataError(f"{double}: two songs in {folder} would get this name; rename one of them")
    if not pairs:
        raise DataError(f"{folder}: holds no songs; name a folder of recordings")
    return pairs


def claim(pairs: Pairs, out: Path, voice: Voice, wish: Wish, *, again: bool = False) -> None:
    """Write into a folder what its songs are, or find it there.

    Args:
        pairs: see ``plan``.
        out: the folder.
        voice: that is to sing.
        wish: how.
        again: everything is made anew, and what was something else is gone.

    Raises:
        DataError: the songs in it are something else, or nobody knows what, or it cannot be written.
    """
    told, there = _told(voice, wish), [target for _, target in pairs if target.exists()]
    before = _read(out / MARK)
    changed = [name for name, value in told.items() if before.get(name) != value]
    if there and changed and not again:
        was = f", {before[changed[0]]}" if changed[0] in before and changed[0] != "voice" else ""
        raise DataError(f"{out}: its songs are of another {changed[0]}{was}; choose another -o, or -f for all anew")
    try:
        for target in there if changed else []:
            target.unlink()
        out.mkdir(parents=True, exist_ok=True)
        write_bytes(out / MARK, json.dumps(told).encode())
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another -o") from None


def _told(voice: Voice, wish: Wish) -> dict[str, Any]:
    """All that a conversion depends on besides the song; of the voice what sings, whoever else may be in it."""
    singer = cast(voice, wish.speaker)
    digest = hashlib.sha256(speakers.base(voice).encode())
    for place in np.flatnonzero(singer.weights.any(axis=1)):
        digest.update(singer.weights[place].tobytes())
        for weights in speakers.row_of(voice, int(place)).values():
            digest.update(weights.contiguous().numpy().tobytes())
    known = {"speaker": singer.label, "transpose": wish.transpose, "loudness": wish.loudness}
    return known | {"voice": digest.hexdigest()}


def _read(mark: Path) -> dict[str, Any]:
    """What a mark says, nothing if it is not ours."""
    try:
        whole = mark.is_file() and mark.stat().st_size <= MAX_MARK
        found = json.loads(mark.read_bytes()) if whole else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def convert_all(converter: Converter, pairs: Pairs, wish: Wish, *, again: bool = False) -> Iterator[Done]:
    """Convert songs; one that is refused stops nothing.

    What is there already is left as it is, so that a batch goes on where it was stopped, unless ``again``.

    Raises:
        DataError: the folder does not take a file.
    """
    for song, target in pairs:
        if target.exists() and not again:
            yield Done(song, target, "there", "")
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            report, _ = convert_file(converter, song, target, wish)
            yield Done(song, target, "made", f"{report.seconds:.1f} s, {report.transpose:+g} semitones")
        except SvcError as error:
            yield Done(song, target, "refused", printable(str(error)))
        except OSError as error:
            raise DataError(f"{target}: cannot be written ({error.strerror}); choose another -o") from None
