"""How sure a mean over files is: bootstrap intervals, and differences between two systems on the same files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over files with its 95 % bootstrap interval; NaN where there are no values, a point for one file."""

    mean: float
    low: float
    high: float
    files: int

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.files > 1 and (self.low > 0 or self.high < 0)


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


def paired(one: Sequence[float], other: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """The mean of other − one, with the interval over files; pairs of which either is NaN are left out."""
    return estimate(np.subtract(other, one).tolist(), clusters)


def _by_file(values: Sequence[float], clusters: Sequence[str]) -> NDArray[np.float64]:
    gathered: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if not math.isnan(value):
            gathered.setdefault(cluster, []).append(value)
    return np.array([float(np.mean(found)) for found in gathered.values()])
