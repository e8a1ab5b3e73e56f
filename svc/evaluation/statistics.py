"""How sure a mean over files is: bootstrap intervals, and whether it could as well be 0."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000
RESAMPLES_OF_SIGNS = 9999
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over files with its 95 % bootstrap interval; NaN where there are no values, a point for one file."""

    mean: float
    low: float
    high: float
    files: int


def estimate(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Mean of the files' means: percentile bootstrap over files (Efron 1979), not over what was made of each.

    Several conversions of one recording are no independent witnesses, so a file is drawn with all that came of it.

    Args:
        values: one for each conversion; NaN (not measured) is left out.
        clusters: the file that each came from.
    """
    means = _by_file(values, clusters)
    if not len(means):
        return Estimate(math.nan, math.nan, math.nan, 0)
    middle = float(means.mean())
    if len(means) == 1 or np.ptp(means) == 0:
        return Estimate(middle, middle, middle, len(means))
    interval = stats.bootstrap(
        (means,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=0
    ).confidence_interval
    return Estimate(middle, float(interval.low), float(interval.high), len(means))


def chance(values: Sequence[float], clusters: Sequence[str]) -> float:
    """How likely a mean as far from 0 is if every file's mean could as well have the other sign; NaN without values.

    A sign-flip test over files (Fisher 1935), exact up to 13 of them. Intervals of a few files are too narrow to
    decide by; this is not.
    """
    means = _by_file(values, clusters)
    if not len(means):
        return math.nan
    if len(means) == 1 or not means.any():
        return 1.0
    found = stats.permutation_test((means,), np.mean, permutation_type="samples", n_resamples=RESAMPLES_OF_SIGNS, rng=0)
    return float(found.pvalue)


def _by_file(values: Sequence[float], clusters: Sequence[str]) -> NDArray[np.float64]:
    gathered: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if not math.isnan(value):
            gathered.setdefault(cluster, []).append(value)
    return np.array([float(np.mean(found)) for found in gathered.values()])
