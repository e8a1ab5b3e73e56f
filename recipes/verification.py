"""Speaker verification and identification: equal error rate (EER) and nearest-speaker accuracy, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from svc.evaluation.statistics import Estimate, estimate

Vectors = NDArray[np.floating]
RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Verification:
    """Equal error rate over all pairs of recordings, and the share of recordings nearest to their own speaker.

    The intervals are bootstraps over the speakers.
    """

    eer: Estimate
    accuracy: Estimate


def verify(enrolment: Mapping[str, Vectors], tests: Mapping[str, Vectors] | None = None) -> Verification:
    """Compare unit vectors (clips, D) of speakers with those of the same speakers; at least two.

    Args:
        enrolment: by speaker.
        tests: by speaker, of other recordings. If not given, every enrolment recording is compared with all others.
    """
    names = list(enrolment)
    rows, row_of = _stack(enrolment, names)
    columns, column_of = (rows, row_of) if tests is None else _stack(tests, names)
    scores, same = rows @ columns.T, row_of[:, None] == column_of
    pairs = np.triu_indices(len(rows), 1) if tests is None else np.nonzero(np.ones_like(same))
    eers = resampled_eers(scores[pairs], row_of[pairs[0]], column_of[pairs[1]])
    low, high = np.quantile(eers[1:], [0.025, 0.975])
    eer = Estimate(float(eers[0]), float(low), float(high), len(names))
    sums = np.stack([rows[row_of == speaker].sum(axis=0) for speaker in range(len(names))])
    right = []
    for vector, speaker in zip(columns, column_of, strict=True):
        centroids = sums.copy()
        if tests is None:
            centroids[speaker] -= vector
        centroids /= np.maximum(1e-9, np.linalg.norm(centroids, axis=1, keepdims=True))
        right.append(float(np.argmax(centroids @ vector) == speaker))
    return Verification(eer, estimate(right, [names[speaker] for speaker in column_of]))


def resampled_eers(
    scores: NDArray[np.floating],
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    resamples: int = RESAMPLES,
) -> NDArray[np.floating]:
    """EER of all pairs, then of bootstrap samples of the speakers (1 + resamples,), the same samples at every call.

    Args:
        scores: (P,) of the pairs; a higher one is accepted first.
        first: (P,) number of the speaker of one recording of each pair.
        second: (P,) number of the speaker of the other recording.
        resamples: how many; those of a single speaker, which have no EER, are left out.
    """
    speakers, own, draw = int(max(first.max(), second.max())) + 1, first == second, np.random.default_rng(0)
    counts = [np.ones(speakers, int)]
    counts += [np.bincount(draw.integers(speakers, size=speakers), minlength=speakers) for _ in range(resamples)]
    weights = (np.where(own, n[first], n[first] * n[second]) for n in counts if np.count_nonzero(n) > 1)
    return np.array([equal_error_rate(scores, own, weight) for weight in weights])


def equal_error_rate(
    scores: NDArray[np.floating], same: NDArray[np.bool_], weights: NDArray[np.integer] | None = None
) -> float:
    """Rate at which as many pairs of one speaker are rejected as pairs of two speakers are accepted.

    Args:
        scores: of the pairs; a higher one is accepted first.
        same: whether a pair is of one speaker.
        weights: how often a pair counts, once by default.
    """
    false, accepted, _ = roc_curve(same, scores, sample_weight=weights, drop_intermediate=False)
    place = np.argmin(np.abs(1 - accepted - false))
    return float(1 - accepted[place] + false[place]) / 2


def _stack(vectors: Mapping[str, Vectors], names: list[str]) -> tuple[Vectors, NDArray[np.integer]]:
    numbers = np.repeat(np.arange(len(names)), [len(vectors[name]) for name in names])
    return np.concatenate([vectors[name] for name in names]), numbers
