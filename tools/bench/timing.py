"""Interleaved timing, round after round, and its statistics: medians, ranges, ratios."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from svc.evaluation.page import Table
from svc.utils.progress import progress

NOTHING = "–"  # in a cell
Columns = Mapping[str, Mapping[str, str]]  # cells by row and by column


@dataclass(frozen=True, slots=True)
class Contestant:
    """A computation to time.

    Attributes:
        name: of its row.
        run: computes once; what it returns is kept for the group's own columns.
        seconds: of audio that a run computes.
        weights: in its network; 0 where there is none to count.
    """

    name: str
    run: Callable[[], Any]
    seconds: float
    weights: int = 0


@dataclass(slots=True)
class Timed:
    """Seconds and return values of the rounds of a contestant."""

    contestant: Contestant
    spent: list[float] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)

    @property
    def rtf(self) -> float:
        """Real-time factor: median seconds of computing for a second of audio."""
        return statistics.median(self.spent) / self.contestant.seconds

    def times_as_fast(self, other: "Timed") -> float:
        """Ratio of the speeds: the median over the rounds of each round's ratio."""
        share = self.contestant.seconds / other.contestant.seconds
        return share * statistics.median(b / a for a, b in zip(self.spent, other.spent, strict=True))


def _no_columns(_: Mapping[str, Timed]) -> Columns:
    return {}


@dataclass(frozen=True, slots=True)
class Group:
    """Contestants that do the same thing.

    Attributes:
        title: of its table.
        text: what is computed, above the table.
        contestants: in the order of their rows.
        reference: name of the row that all are compared with.
        columns: further cells, from the timings, by the name of the row.
    """

    title: str
    text: str
    contestants: Sequence[Contestant]
    reference: str
    columns: Callable[[Mapping[str, Timed]], Columns] = _no_columns


def interleave(
    contestants: Sequence[Contestant],
    rounds: int,
    *,
    warm: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Timed]:
    """Run all contestants one after the other, several times.

    Args:
        contestants: in this order in every round.
        rounds: measured rounds.
        warm: rounds before them.
        clock: seconds.
    """
    timed = [Timed(contestant) for contestant in contestants]
    turns = [(number >= warm, entry) for number in range(warm + rounds) for entry in timed]
    bar = progress(turns, "bench", "run", len(turns))
    for measured, entry in bar:
        bar.set_postfix_str(entry.contestant.name, refresh=False)
        _settle()
        started = clock()
        outcome = entry.contestant.run()
        _settle()
        spent = clock() - started
        if measured:
            entry.spent.append(spent)
            entry.outcomes.append(outcome)
    return timed


def measure(groups: Sequence[Group], rounds: int, warm: int = 1) -> dict[str, tuple[str, Table]]:
    """Text and table of every group by its title, after rounds of all the contestants of all groups."""
    turns = iter(interleave([each for group in groups for each in group.contestants], rounds, warm=warm))
    timed = [[next(turns) for _ in group.contestants] for group in groups]
    return {group.title: (group.text, tabulate(group, own)) for group, own in zip(groups, timed, strict=True)}


def tabulate(group: Group, timed: Sequence[Timed]) -> Table:
    """The table of a group."""
    by_name = {entry.contestant.name: entry for entry in timed}
    further = group.columns(by_name)
    names = list(dict.fromkeys(column for cells in further.values() for column in cells))
    reference = by_name[group.reference]
    has_weights = any(entry.contestant.weights for entry in timed)
    heads = [
        "",
        "RTF",
        "fastest to slowest",
        "audio s in a s",
        f"× as fast as {group.reference}",
        *["weights, M"] * has_weights,
    ]
    rows = []
    for name, entry in by_name.items():
        own = further.get(name, {})
        cells = [*_cells(entry, reference), *[_millions(entry.contestant.weights)] * has_weights]
        rows.append([name, *cells, *(own.get(column, NOTHING) for column in names)])
    return Table([*heads, *names], rows)


def _cells(entry: Timed, reference: Timed) -> list[str]:
    seconds = entry.contestant.seconds
    ends = f"{significant(min(entry.spent) / seconds)}–{significant(max(entry.spent) / seconds)}"
    return [significant(entry.rtf), ends, significant(1 / entry.rtf), significant(entry.times_as_fast(reference))]


def _millions(weights: int) -> str:
    return f"{weights / 1e6:.2f}" if weights else NOTHING


def significant(value: float) -> str:
    """Three significant digits, never an exponent."""
    return (
        f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.7f}"
    )


def _settle() -> None:
    """Wait for the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
