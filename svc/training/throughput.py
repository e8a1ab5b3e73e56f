"""How fast a run goes, and how much of its time it waits for data."""

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")
MUCH = 0.1  # of the time


class Meter:
    """Looks at the clock whenever a batch is asked for and comes; validation and checkpoints count as work."""

    def __init__(self) -> None:
        self.steps = 0
        self._waited, self._began = 0.0, perf_counter()
        self._last = self.steps, self._waited, self._began

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches, one a step; the clock starts when the first is asked for."""
        asked = self._began = perf_counter()
        self._last = self.steps, self._waited, self._began
        for batch in batches:
            self._waited += perf_counter() - asked
            self.steps += 1
            yield batch
            asked = perf_counter()

    def lap(self) -> dict[str, float]:
        """Since the last lap: ``waiting``, the share (0–1) of the time that went by so, and ``seconds_per_step``."""
        now = self.steps, self._waited, perf_counter()
        steps, waited, seconds = (after - before for after, before in zip(now, self._last, strict=True))
        self._last = now
        return {"waiting": waited / seconds, "seconds_per_step": seconds / steps}

    def verdict(self) -> str:
        """The share of the whole run's time, and the way out if it is much."""
        share = self._waited / (perf_counter() - self._began)
        return f"{100 * share:.0f} % of the time was spent waiting for data" + "; raise train.workers" * (share > MUCH)
