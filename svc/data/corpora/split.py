"""Train, validation and test split by song: a hash of the group's name decides the side."""

import hashlib
from typing import Literal

from svc.errors import DataError

Side = Literal["train", "valid", "test"]


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
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise DataError(f"split: valid {valid} and test {test} are shares; choose two from 0 up with a sum below 1")
    digest = hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < test:
        return "test"
    return "valid" if position >= 1 - valid else "train"
