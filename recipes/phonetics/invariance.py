"""Speaker invariance of content features: ABX error, distances across speakers and words, linear probes.

Features are (C, N) on the 10 ms clock and compared by cosine distance, along a time warp where the takes differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import librosa
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.floating]

TINY = 1e-9  # keeps the cosine of an empty frame defined


@dataclass(frozen=True, slots=True)
class Take:
    """Content features of one performance."""

    speaker: str  # who
    words: str  # what; takes of the same words are compared
    piece: str  # how (melody, emotion): only takes of one piece are compared
    frames: Frames  # (C, N), without the silence before and after


def warped_distance(one: Frames, other: Frames) -> float:
    """Mean cosine distance of (C, N) and (C, M) along the best time warp (Sakoe and Chiba 1978), 0 to 2."""
    total, path = librosa.sequence.dtw(one + TINY, other + TINY, metric="cosine")
    return float(total[-1, -1]) / len(path)


def distances(takes: Sequence[Take], *, same_words: bool) -> list[float]:
    """Distances of the same words of a piece by two speakers, or of different words of a piece by one."""
    return [
        warped_distance(one.frames, other.frames)
        for one, other in _pairs(takes)
        if (one.words == other.words) == (one.speaker != other.speaker) == same_words
    ]


def abx_error(takes: Sequence[Take]) -> float:
    """Share of triples in which X sounds like B (Schatz et al. 2013), across speakers: .5 is guessing.

    A and X are the same words by two speakers; B is other words by A's speaker.
    """
    far: dict[tuple[int, int], float] = {}
    for one, other in _pairs(takes):
        if one.speaker != other.speaker:
            distance = warped_distance(one.frames, other.frames)
            far |= {(id(one), id(other)): distance, (id(other), id(one)): distance}
    verdicts = [
        np.sign(far[id(a), id(x)] - far[id(b), id(x)])
        for a in takes
        for x in takes
        if (id(a), id(x)) in far and a.words == x.words
        for b in takes
        if b.speaker == a.speaker and b.words != a.words and b.piece == a.piece
    ]
    return float(np.mean(verdicts)) / 2 + 0.5 if verdicts else float("nan")


def probe_accuracy(vectors: Frames, labels: Sequence[str], folds: Sequence[int]) -> float:
    """Share of vectors (K, C) whose label a logistic regression names, trained on the other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    targets, fold = np.asarray(labels), np.asarray(folds)
    right = 0
    for held in np.unique(fold):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(vectors[fold != held], targets[fold != held])
        right += int((probe.predict(vectors[fold == held]) == targets[fold == held]).sum())
    return right / len(targets)


def _pairs(takes: Sequence[Take]) -> Iterator[tuple[Take, Take]]:
    return ((one, other) for one, other in combinations(takes, 2) if one.piece == other.piece)
