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
    """A measure of two systems a and b."""

    measure: Measure  # compared by its absolute value if it should be zero
    a: float  # mean over outputs
    b: float
    estimate: Estimate  # of b − a, over the songs that both have
    p_value: float  # of a sign-flip test over songs

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
    """Differences of every measure that both have, for conversions and reconstructions, over outputs that both have.

    Raises:
        DataError: they share none.
    """
    first, second = (_outputs(rows) for rows in (a, b))
    common = [key for key in first if key in second]
    if not common:
        raise DataError("the two evaluations share no conversion; evaluate both with the same sources and targets")
    differences = {}
    for kind, same in (("converted", False), ("reconstructed", True)):
        keys = [key for key in common if (first[key]["speaker"] == key[1]) is same]
        if keys:
            differences[kind] = _differences([first[key] for key in keys], [second[key] for key in keys])
    return differences


def tabulate(differences: Sequence[Difference], name_a: str, name_b: str) -> Table:
    """A line for each measure that both systems have."""
    rows = []
    for one in differences:
        measure = one.measure
        title = f"|{measure.title}|" if measure.better == "zero" else measure.title
        means = [measure.text(one.a), measure.text(one.b), measure.interval(one.estimate)]
        rows.append([title, *means, f"{one.estimate.files}", f"{one.p_value:.3f}", one.verdict])
    return Table(["", name_a, name_b, "difference", "songs", "p", f"{name_b} is"], rows)


def summarise(differences: Sequence[Difference], name_b: str) -> str:
    """How many measures got better and worse, and how many would by chance."""
    verdicts = [one.verdict for one in differences]
    if set(verdicts) <= {"too few songs"}:
        return f"too few songs: at least {MIN_SONGS} are needed"
    better, worse = verdicts.count("better"), verdicts.count("worse")
    return (
        f"{name_b} is better in {better} and worse in {worse} of {len(verdicts)} measures; "
        f"about {ALPHA * len(verdicts):.0f} of them would be significant by chance"
    )


def _outputs(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["song"], row["target"]): row for row in rows if row["system"] == "voice"}


def _differences(a: Sequence[Row], b: Sequence[Row]) -> list[Difference]:
    """Of every measure that both have."""
    songs, differences = [row["song"] for row in a], []
    for measure in MEASURES:
        pair = np.array([values(a, measure.key), values(b, measure.key)])
        pair[:, np.isnan(pair).any(axis=0)] = np.nan
        if measure.better == "zero":
            pair = np.abs(pair)
        gains = (pair[1] - pair[0]).tolist()
        gain = estimate(gains, songs)
        if gain.files:
            mean_a, mean_b = np.nanmean(pair, axis=1).tolist()
            differences.append(Difference(measure, mean_a, mean_b, gain, sign_flip_p_value(gains, songs)))
    return differences
