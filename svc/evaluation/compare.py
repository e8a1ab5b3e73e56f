"""Two systems on the same songs: differences file by file, so that "better" means more than noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from svc.errors import DataError
from svc.evaluation.metrics.table import MEASURES, Measure, Row, values
from svc.evaluation.report import Table
from svc.evaluation.statistics import Estimate, chance, estimate

FEWEST = 6  # songs that can decide anything: the chance of all signs alike is 3 %
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of two systems.

    Attributes:
        measure: of which the size counts, without its sign, if it should be zero.
        one: mean over outputs.
        other: likewise.
        estimate: of other − one, over the songs that both have.
        chance: of a difference as large if none of them were better.
    """

    measure: Measure
    one: float
    other: float
    estimate: Estimate
    chance: float

    @property
    def verdict(self) -> str:
        """Whether the other is better or worse, or whether the difference could be chance."""
        if self.estimate.files < FEWEST:
            return "too few songs"
        if self.chance >= LEVEL:
            return "no telling"
        if self.measure.better == "none":
            return "differs"
        gain = self.estimate.mean if self.measure.better == "high" else -self.estimate.mean
        return "better" if gain > 0 else "worse"


def compare(one: Sequence[Row], other: Sequence[Row]) -> dict[str, list[Difference]]:
    """Differences of every measure, for conversions and for reconstructions, of outputs that both systems have.

    Raises:
        DataError: there are none.
    """
    first, second = (_outputs(rows) for rows in (one, other))
    common = [key for key in first if key in second]
    if not common:
        raise DataError("the two evaluations share no conversion; evaluate both with the same sources and targets")
    kinds = {
        "converted": [key for key in common if first[key]["singer"] != key[1]],
        "reconstructed": [key for key in common if first[key]["singer"] == key[1]],
    }
    return {
        kind: [_difference(measure, [first[k] for k in keys], [second[k] for k in keys]) for measure in MEASURES]
        for kind, keys in kinds.items()
        if keys
    }


def tabulate(differences: Sequence[Difference], one: str, other: str) -> Table:
    """The measures that both systems have."""
    rows = []
    for found in differences:
        measure = found.measure
        if found.estimate.files:
            told = [measure.text(found.one), measure.text(found.other), measure.interval(found.estimate)]
            size = "|" if measure.better == "zero" else ""
            rows.append(
                [f"{size}{measure.title}{size}", *told, f"{found.estimate.files}", f"{found.chance:.3f}", found.verdict]
            )
    return Table(["", one, other, "difference", "songs", "chance", f"{other} is"], rows)


def conclude(differences: Sequence[Difference], other: str) -> str:
    """How many measures got better and worse, and how many would by chance alone."""
    told = [found.verdict for found in differences if found.estimate.files]
    if not told or set(told) == {"too few songs"}:
        return f"too few songs: nothing is decided by fewer than {FEWEST}"
    better, worse = told.count("better"), told.count("worse")
    return (
        f"{other} is better in {better} and worse in {worse} of {len(told)} measures; "
        f"of as many that do not differ about {LEVEL * len(told):.0f} would seem to by chance"
    )


def _outputs(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["song"], row["target"]): row for row in rows if row["system"] == "voice"}


def _difference(measure: Measure, one: Sequence[Row], other: Sequence[Row]) -> Difference:
    pair = np.array([values(one, measure.key), values(other, measure.key)])
    pair[:, np.isnan(pair).any(axis=0)] = np.nan
    if measure.better == "zero":
        pair = np.abs(pair)
    gains, songs = (pair[1] - pair[0]).tolist(), [row["song"] for row in one]
    found = estimate(gains, songs)
    means = [float(np.nanmean(line)) if found.files else float("nan") for line in pair]
    return Difference(measure, means[0], means[1], found, chance(gains, songs))
