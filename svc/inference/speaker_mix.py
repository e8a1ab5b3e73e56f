"""Who is to sing: one singer of a voice, a mix of some, or a mix that changes."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svc.data.manifest import Singer
from svc.errors import DataError, WeightsError
from svc.features.conditioning import one_hot
from svc.inference.voice import Voice
from svc.utils.units import FRAMES_PER_SECOND

MAX_ROWS = 1_000_000  # of a table of mixes


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is to sing.

    Attributes:
        label: for names of files.
        weights: (S, 1), or (S, N) where the mix changes; every column sums to 1.
        singer: with the range and the level of a mix, in proportion.
    """

    label: str
    weights: NDArray[np.float32]
    singer: Singer

    def over(self, frames: int) -> Tensor:
        """Weights (S,), or (S, N) with the last held for as long as the song goes on."""
        if self.weights.shape[1] == 1:
            return torch.from_numpy(self.weights[:, 0])
        return torch.from_numpy(self.weights[:, np.minimum(np.arange(frames), self.weights.shape[1] - 1)])


def cast(voice: Voice, text: str) -> Cast:
    """Who is meant by a name, a number, ``Ann:0.6,Bob:0.4``, or the path of a CSV (see ``changing``).

    Raises:
        WeightsError: the voice has no such singer.
        DataError: the mix or the table cannot be read.
    """
    try:
        return _described(voice, "", one_hot(voice.row(text), len(voice.singers)).numpy()[:, None])
    except WeightsError:
        if Path(text).suffix.lower() == ".csv":
            return _described(voice, Path(text).stem, changing(voice, Path(text)))
        if ":" not in text and "," not in text:
            raise
    weights = np.zeros((len(voice.singers), 1), dtype=np.float32)
    for part in text.split(","):
        name, colon, share = part.rpartition(":")
        try:
            weights[voice.row((name if colon else share).strip())] += float(share) if colon else 1.0
        except ValueError:
            raise DataError(f"--speaker {text}: write a mix as Ann:0.6,Bob:0.4") from None
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum() > 0):
        raise DataError(f"--speaker {text}: shares of a mix must be 0 or more, and not all of them 0")
    return _described(voice, "", weights / weights.sum())


def changing(voice: Voice, path: Path) -> NDArray[np.float32]:
    """Weights (S, N) from a table: a line ``seconds,Ann,Bob``, then when each is how strong.

    Between lines the shares go straight from one to the next; before the first and after the last they stay.

    Raises:
        DataError: it is not such a table.
        WeightsError: the voice has no such singer.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            head, *rows = [row for row in csv.reader(stream) if row]
        numbers = [[float(value) for value in row] for row in rows]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise DataError(f"{path}: is no table of mixes; begin with a line seconds,Ann,Bob, then numbers") from None
    if head[0].strip().lower() != "seconds" or len(head) < 2:
        raise DataError(f"{path}: does not say whose the shares are; begin with a line seconds,Ann,Bob")
    whole = 1 <= len(rows) <= MAX_ROWS and all(len(row) == len(head) for row in rows)
    if not whole or not np.isfinite(numbers).all():
        raise DataError(f"{path}: every line needs the seconds and a share for each of {len(head) - 1} singers")
    table = np.array(numbers)
    times, shares = table[:, 0], table[:, 1:]
    if (np.diff(times) <= 0).any() or not 0 <= times[0] <= times[-1] < 1e5 or shares.min() < 0:
        raise DataError(f"{path}: times must rise and shares be 0 or more; mend the table")
    if (shares.sum(axis=1) <= 0).any():
        raise DataError(f"{path}: a line gives nobody a share; mend it")
    shares = shares / shares.sum(axis=1, keepdims=True)
    centres = (np.arange(round(times[-1] * FRAMES_PER_SECOND) + 1) + 0.5) / FRAMES_PER_SECOND
    weights = np.zeros((len(voice.singers), len(centres)), dtype=np.float32)
    for name, share in zip(head[1:], shares.T, strict=True):
        weights[voice.row(name.strip())] += np.interp(centres, times, share).astype(np.float32)
    return weights


def _described(voice: Voice, label: str, weights: NDArray[np.float32]) -> Cast:
    mean = weights.mean(axis=1)
    parts = [(share, singer) for share, singer in zip(mean, voice.singers, strict=True) if share > 0]
    name = label or "+".join(singer.name if len(parts) == 1 else f"{singer.name}{share:.2g}" for share, singer in parts)
    if len(parts) == 1:
        return Cast(name, weights, parts[0][1])
    known = [(share, singer) for share, singer in parts if singer.median_f0 > 0]
    total = sum(share for share, _ in known) or 1.0
    logs = sum(share / total * np.log(singer.range) for share, singer in known)
    median, low, high = np.exp(logs).tolist() if known else (0.0, 0.0, 0.0)
    level = float(sum(share * singer.level for share, singer in parts)) if all(s.level for _, s in parts) else 0.0
    return Cast(name, weights, Singer(name, sum(singer.seconds for _, singer in parts), median, low, high, level))
