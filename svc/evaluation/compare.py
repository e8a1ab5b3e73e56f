"""Paired comparison of two evaluations on the same songs, measure by measure, with significance tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from svc.errors import DataError
from svc.evaluation.metrics.table import MEASURES, Measure, Row, values
from svc.evaluation.page import Table
from svc.evaluation.statistics import Estimate, estimate, sign_flip_p_value

MIN_SONGS = 6  # with fewer, even equal signs have p > 3 %
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of two systems a and b.

    Attributes:
        measure: compared by its absolute value if it should be zero.
        a: mean over outputs.
        b: likewise.
        estimate: of b − a, over the songs that both have.
        p_value: of a sign-flip test over songs.
    """

    measure: Measure
    a: float
    b: float
    estimate: Estimate
    p_value: float

    @property
    def verdict(self) -> str:
        """Whether b is better or worse than a, or neither significantly."""
        if self.estimate.files < MIN_SONGS:
            return "too few songs"
        if self.p_value >= ALPHA:
            return "not significant"
        if self.measure.better == "none":
            return "different"
        gain = self.estimate.mean if self.measure.better == "high" else -self.estimate.mean
        return "better" if gain > 0 else "worse"


def compare(a: Sequence[Row], b: Sequence[Row]) -> dict[str, list[Difference]]:
    """Differences of every measure, separately for conversions and reconstructions, over outputs that both have.

    Raises:
        DataError: they share none.
    """
    first, second = (_outputs(rows) for rows in (a, b))
    common = [key for key in first if key in second]
    if not common:
        raise DataError("the two evaluations share no conversion; evaluate both with the same sources and targets")
    kinds = {
        "converted": [key for key in common if first[key]["speaker"] != key[1]],
        "reconstructed": [key for key in common if first[key]["speaker"] == key[1]],
    }
    return {
        kind: [_difference(measure, [first[k] for k in keys], [second[k] for k in keys]) for measure in MEASURES]
        for kind, keys in kinds.items()
        if keys
    }


def tabulate(differences: Sequence[Difference], name_a: str, name_b: str) -> Table:
    """A line for each measure that both systems have."""
    rows = []
    for difference in differences:
        measure = difference.measure
        if difference.estimate.files:
            bar = "|" if measure.better == "zero" else ""
            means = [measure.text(difference.a), measure.text(difference.b), measure.interval(difference.estimate)]
            test = [f"{difference.estimate.files}", f"{difference.p_value:.3f}", difference.verdict]
            rows.append([f"{bar}{measure.title}{bar}", *means, *test])
    return Table(["", name_a, name_b, "difference", "songs", "p", f"{name_b} is"], rows)


def summarise(differences: Sequence[Difference], name_b: str) -> str:
    """How many measures got better and worse, and how many would by chance."""
    verdicts = [difference.verdict for difference in differences if difference.estimate.files]
    if not verdicts or set(verdicts) == {"too few songs"}:
        return f"too few songs: at least {MIN_SONGS} are needed"
    better, worse = verdicts.count("better"), verdicts.count("worse")
    return (
        f"{name_b} is better in {better} and worse in {worse} of {len(verdicts)} measures; "
        f"about {ALPHA * len(verdicts):.0f} of them would be significant by chance"
    )


def _outputs(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["song"], row["target"]): row for row in rows if row["system"] == "voice"}


def _difference(measure: Measure, a: Sequence[Row], b: Sequence[Row]) -> Difference:
    pair = np.array([values(a, measure.key), values(b, measure.key)])
    pair[:, np.isnan(pair).any(axis=0)] = np.nan
    if measure.better == "zero":
        pair = np.abs(pair)
    gains, songs = (pair[1] - pair[0]).tolist(), [row["song"] for row in a]
    gain = estimate(gains, songs)
    means = [float(np.nanmean(line)) if gain.files else float("nan") for line in pair]
    return Difference(measure, means[0], means[1], gain, sign_flip_p_value(gains, songs))
