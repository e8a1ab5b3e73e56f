"""The processes of one run: this one alone, or as many as ``accelerate launch`` started, on one machine or several."""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch

from svc.errors import DataError

S = TypeVar("S")
T = TypeVar("T")

_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # as Accelerate reads them
_PATIENCE = timedelta(days=7)  # with the slowest share of the work; torch's own is half an hour
_LOST = (
    "the processes of this run do not find each other ({}); between machines, name the network's interface in "
    "GLOO_SOCKET_IFNAME, and to work alone unset WORLD_SIZE"
)
_ENDED = "another process of this run has ended ({}); see what it says and run it again, what is done is kept"


@dataclass(frozen=True, slots=True)
class Crew:
    """Processes that do one thing together and end alike: what goes wrong in one of them is raised in all.

    Attributes:
        rank: of this process; 0 is the main one.
        world: how many there are.
        local: rank among those of this machine.
        group: through which they talk, if they are more than one.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    group: Any = None

    @property
    def main(self) -> bool:
        """Whether this is the process that tells and writes."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process: its own, where there are several and ``cuda`` is asked for."""
        if name != "cuda" or self.world == 1:
            return name
        return f"cuda:{self.local % max(1, torch.cuda.device_count())}"

    def once(self, act: Callable[[], T]) -> T:
        """What the main process does, and everybody has the result of."""
        if self.world == 1:
            return act()
        said = [_outcome(act) if self.main else None]
        with _talking(_ENDED):
            torch.distributed.broadcast_object_list(said, src=0, group=self.group)
        return _result(said[0])

    def everywhere(self, act: Callable[[], object]) -> None:
        """What everybody does before they go on together."""
        if self.world == 1:
            act()
            return
        for outcome in self._gathered(_outcome(act)):
            _result(outcome)

    def _gathered(self, mine: Any) -> list[Any]:
        shares: list[Any] = [None] * self.world
        with _talking(_ENDED):
            torch.distributed.all_gather_object(shares, mine, group=self.group)
        return shares

    def each(self, items: Sequence[S], act: Callable[[Sequence[S]], Iterable[T]], alarm: Path) -> list[T]:
        """One result for each item, in their order; everybody does a share and has all of them.

        Args:
            items: the same in all processes.
            act: yields a result for each of its items.
            alarm: no file yet, in a folder that all see; who fails makes it, so that the others need not go on.
        """
        if self.world == 1:
            return list(act(items))
        mine = _outcome(lambda: list(_until(alarm, act(items[self.rank :: self.world]))))
        if isinstance(mine, Exception):
            with suppress(OSError):
                alarm.touch()
        shares = self._gathered(mine)
        _result(mine)
        results: list[Any] = [None] * len(items)
        for share in shares:
            _result(share)  # all are asked before any is taken: who heard the alarm has only a part
        for rank, share in enumerate(shares):
            results[rank :: self.world] = share
        return results


_CREW: list[Crew] = []


def crew(cpu: bool = True) -> Crew:
    """The processes this one belongs to; joined once, when first asked.

    Args:
        cpu: leave accelerators alone; who trains later as well says False, for how they joined is how they train.

    Raises:
        DataError: they do not find each other.
    """
    if not _CREW:
        _CREW.append(_join(cpu))
    return _CREW[0]


def _join(cpu: bool) -> Crew:
    if all(int(os.environ.get(name) or 1) == 1 for name in _SIZES):
        return Crew()
    from accelerate import PartialState

    with _talking(_LOST):
        state = PartialState(cpu=cpu)
        group = torch.distributed.new_group(timeout=_PATIENCE, backend="gloo")
    atexit.register(state.destroy_process_group)  # left to the interpreter, it aborts now and then
    return Crew(state.process_index, state.num_processes, state.local_process_index, group)


@contextmanager
def _talking(failed: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise DataError(failed.format(str(error).partition("\n")[0])) from None


def _until(alarm: Path, results: Iterable[T]) -> Iterator[T]:
    for result in results:
        yield result
        if alarm.exists():
            return


def _outcome(act: Callable[[], T]) -> T | Exception:
    try:
        return act()
    except Exception as error:
        return error


def _result(outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
