"""Bootstrap confidence intervals and sign-flip permutation tests of means over files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000
SIGN_RESAMPLES = 9999


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over files with its 95 % bootstrap interval; NaN without values, a single point for one file."""

    mean: float
    low: float
    high: float
    files: int


def estimate(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Mean of the files' means with a percentile bootstrap interval over files (cluster bootstrap, Efron 1979).

    Conversions of one recording are not independent, so a file is resampled with all its conversions. The values are
    one for each conversion, NaN where not measured, the clusters their source files.
    """
    means = _by_file(values, clusters)
    if not len(means):
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = float(means.mean())
    if len(means) == 1 or np.ptp(means) == 0:
        return Estimate(mean, mean, mean, len(means))
    bootstrap = stats.bootstrap((means,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=0)
    interval = bootstrap.confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high), len(means))


def sign_flip_p_value(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Two-sided p-value of a sign-flip permutation test over files (Fisher 1935), exact up to 13; NaN without values.

    Bootstrap intervals over few files are too narrow to decide by; this test is not.
    """
    means = _by_file(values, clusters)
    if not len(means):
        return math.nan
    if len(means) == 1 or not means.any():
        return 1.0
    test = stats.permutation_test((means,), np.mean, permutation_type="samples", n_resamples=SIGN_RESAMPLES, rng=0)
    return float(test.pvalue)


def _by_file(values: Sequence[float], clusters: Sequence[str]) -> NDArray[np.float64]:
    groups: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if not math.isnan(value):
            groups.setdefault(cluster, []).append(value)
    return np.array([float(np.mean(group)) for group in groups.values()])
