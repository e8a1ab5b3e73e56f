"""Two systems on the same songs: differences file by file, so that "better" means more than noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from svc.errors import DataError
from svc.evaluate.measures import MEASURES, Measure, Row, values
from svc.evaluate.report import Table
from svc.evaluate.statistics import Estimate, paired


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of one system and of another, and the mean of other − one over the songs that both have."""

    measure: Measure
    one: float
    other: float
    estimate: Estimate

    @property
    def verdict(self) -> str:
        """Whether the other is better or worse, or whether the difference could be chance."""
        if self.estimate.files < 2:
            return "too few songs"
        if not self.estimate.sure:
            return "no telling"
        if self.measure.better == "none":
            return "differs"
        gain = -self.estimate.mean if self.measure.better == "low" else self.estimate.mean
        if self.measure.better == "zero":
            gain = abs(self.one) - abs(self.other)
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
            rows.append([measure.title, *told, f"{found.estimate.files}", found.verdict])
    return Table(["", one, other, "difference", "songs", f"{other} is"], rows)


def _outputs(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["song"], row["target"]): row for row in rows if row["system"] == "voice"}


def _difference(measure: Measure, one: Sequence[Row], other: Sequence[Row]) -> Difference:
    pair = np.array([values(one, measure.key), values(other, measure.key)])
    pair[:, np.isnan(pair).any(axis=0)] = np.nan
    found = paired(pair[0].tolist(), pair[1].tolist(), [row["song"] for row in one])
    means = [float(np.nanmean(line)) if found.files else float("nan") for line in pair]
    return Difference(measure, means[0], means[1], found)
