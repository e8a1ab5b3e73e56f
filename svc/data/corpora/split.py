"""Train, validation and test split by song: a hash of the group's name decides the side."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from svc.data.manifest import Clip
from svc.errors import DataError

Side = Literal["train", "valid", "test"]
MIN_GROUPS, FEW_GROUPS = 4, 40


def sides(
    groups: Iterable[str], valid: float, test: float, published: Mapping[str, Side] | None = None
) -> dict[str, Side]:
    """Side of every group (song or sentence) of a corpus, from the hash of its name; shares are 0 to 1.

    All recordings of a group share a side, whoever the speaker is; adding groups moves none, and a larger share of
    ``valid`` or ``test`` takes groups from ``train`` alone.

    A small corpus has at least one group for validation and one for testing: of 4 to 39 groups of which the hashes take
    none for the test, the first in the order of hashes is the test; where none is taken for validation, the last one
    is. So a new group may take the place of the guaranteed one. The sides that the authors publish go before the hash;
    if they publish none for validation, that takes its share of their training groups by the hash.
    """
    fixed = dict(published or {})
    if "valid" not in fixed.values():
        trained = [group for group, own in fixed.items() if own == "train"]
        fixed |= {group: _side(_position(group), valid, 0.0) for group in trained}
    order = sorted(set(groups), key=lambda group: (_position(group), group))
    result = {group: fixed.get(group) or _side(_position(group), valid, test) for group in order}
    if MIN_GROUPS <= len(order) < FEW_GROUPS:
        free = [group for group in order if (published or {}).get(group, "train") == "train"]
        if test and free and "test" not in result.values():
            result[free[0]] = "test"
        if valid and free and "valid" not in result.values():
            result[free[-1]] = "valid"
    return result


def ensure_sides(clips: list[Clip], valid: float) -> list[Clip]:
    """Every speaker keeps something to train on, and something is held out, if asked for; groups stay whole."""
    units: dict[str, list[Clip]] = {}
    units_of: dict[str, set[str]] = {}  # names of units by speaker
    for clip in clips:
        units.setdefault(clip.split_unit, []).append(clip)
        units_of.setdefault(clip.speaker, set()).add(clip.split_unit)
    split = {name: unit[0].split for name, unit in units.items()}
    order = {name: (unit[0].split == "test", min(clip.key for clip in unit)) for name, unit in units.items()}
    for own in units_of.values():
        if all(split[name] != "train" for name in own):
            split[min(own, key=order.__getitem__)] = "train"
    if valid > 0 and "valid" not in split.values():
        count = {speaker: sum(split[name] == "train" for name in own) for speaker, own in units_of.items()}
        training = (name for name in units if split[name] == "train")
        spare = [name for name in training if all(count[clip.speaker] > 1 for clip in units[name])]
        if spare:
            split[min(spare, key=order.__getitem__)] = "valid"
    return [replace(clip, split=split[clip.split_unit]) for clip in clips]


def file_side(source_hash: str, valid: float, test: float) -> Side:
    """Side of a file without a group, from the hash of its bytes (hexadecimal): new files never move old ones."""
    return _side(1 - int(source_hash[:8], 16) / 2**32, valid, test)


def check_shares(valid: float, test: float) -> None:
    """Two shares leave something to train on.

    Raises:
        DataError: they do not.
    """
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise DataError(f"split: valid {valid} and test {test} are shares; choose two from 0 up with a sum below 1")


def _position(group: str) -> float:
    """From 0 up to 1."""
    digest = hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _side(position: float, valid: float, test: float) -> Side:
    if position < test:
        return "test"
    return "valid" if position >= 1 - valid and valid else "train"
