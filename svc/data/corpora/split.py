"""Train, validation and test split by song: a hash of the group's name decides the side."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

from svc.errors import DataError

Side = Literal["train", "valid", "test"]
MIN_GROUPS, FEW_GROUPS = 4, 40


def side(group: str, valid: float, test: float) -> Side:
    """Side of the train/valid/test split for a song or sentence, from the hash of its group.

    All recordings of a group share a side, whoever the speaker is; adding groups moves none, and a larger share of
    ``valid`` or ``test`` takes groups from ``train`` alone.

    Args:
        group: see ``Recording.group``.
        valid: share of groups, 0 to 1.
        test: share of groups, 0 to 1.

    Raises:
        DataError: the shares are negative or leave nothing to train on.
    """
    check_shares(valid, test)
    return _side(_position(group), valid, test)


def sides(
    groups: Iterable[str], valid: float, test: float, published: Mapping[str, Side] | None = None
) -> dict[str, Side]:
    """``side`` of all groups of a corpus; a small corpus has at least one group for validation and one for testing.

    Of 4 to 39 groups of which the hashes take none for the test, the first in the order of hashes is the test; where
    none is taken for validation, the last one is. So adding recordings of known groups moves none; a new group may
    take the place of the guaranteed one. The sides that the authors publish go before the hash; if they publish none
    for validation, that takes its share of their training groups by the hash.

    Args:
        groups: names, see ``Recording.group``.
        valid: share of groups, 0 to 1.
        test: share of groups, 0 to 1.
        published: sides of groups by the corpus's authors.

    Raises:
        DataError: see ``side``.
    """
    check_shares(valid, test)
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


def file_side(source_hash: str, valid: float, test: float) -> Side:
    """Side of a file without a group, from the hash of its bytes (hexadecimal): new files never move old ones."""
    return _side(1 - int(source_hash[:8] or "0", 16) / 2**32, valid, test)


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
