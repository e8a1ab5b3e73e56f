"""Process group of a run (torch.distributed): one process, or those of ``accelerate launch``, on any machines.

And worker processes, which end with their parent.
"""

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, TypeVar

import torch

from svc.errors import DataError

S = TypeVar("S")
T = TypeVar("T")

_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # as Accelerate reads them
_TIMEOUT = timedelta(days=7)  # to wait for the slowest shard; torch's default is half an hour
_NOT_CONNECTED = (
    "the processes of this run do not find each other ({}); between machines, name the network's interface in "
    "GLOO_SOCKET_IFNAME, and to work alone unset WORLD_SIZE"
)
_PEER_ENDED = "another process of this run has ended ({}); see what it says and run it again, what is done is kept"


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """Processes that work on one thing: an error in one of them is raised in all."""

    rank: int = 0  # of this process; 0 is the main one
    world_size: int = 1  # number of processes
    local_rank: int = 0  # rank among those of this machine
    group: Any = None  # of torch, if there are several

    @property
    def main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process: its own GPU where there are several processes and ``cuda`` is wanted."""
        if name != "cuda" or self.world_size == 1:
            return name
        return f"cuda:{self.local_rank % max(1, torch.cuda.device_count())}"

    def on_main(self, act: Callable[[], T]) -> T:
        """The result of what the main process alone computes, in every process."""
        return self._gather(act if self.main else lambda: None)[0]

    def on_all(self, act: Callable[[], object]) -> None:
        """Run something in every process, and wait for all."""
        self._gather(act)

    def map_sharded(self, items: Sequence[S], act: Callable[[Sequence[S]], Iterable[T]], abort_file: Path) -> list[T]:
        """One result for each item, in order; every process computes a shard and has all results.

        Args:
            items: the same in all processes.
            act: yields a result for each of its items.
            abort_file: does not exist yet, in a folder that all see; a process that fails makes it, so others stop.
        """
        if self.world_size == 1:
            return list(act(items))

        def shard() -> list[T]:
            try:
                return list(_until(abort_file, act(items[self.rank :: self.world_size])))
            except Exception:
                with suppress(OSError):
                    abort_file.touch()
                raise

        results: list[Any] = [None] * len(items)
        for rank, part in enumerate(self._gather(shard)):
            results[rank :: self.world_size] = part
        return results

    def _gather(self, act: Callable[[], Any]) -> list[Any]:
        """The results of all processes; or an error, that of this process first, else of the lowest rank."""
        if self.world_size == 1:
            return [act()]
        try:
            own = act()
        except Exception as error:
            own = error
        outcomes: list[Any] = [None] * self.world_size
        with _translate_errors(_PEER_ENDED):
            torch.distributed.all_gather_object(outcomes, own, group=self.group)
        for outcome in (own, *outcomes):
            if isinstance(outcome, Exception):
                raise outcome
        return outcomes


_GROUP: list[ProcessGroup] = []


def process_group(cpu: bool = True) -> ProcessGroup:
    """The process group that this process belongs to; joined at the first call.

    Args:
        cpu: use no accelerators; False before a training on them, which needs the same backend.

    Raises:
        DataError: the processes do not find each other.
    """
    if not _GROUP:
        _GROUP.append(_join(cpu))
    return _GROUP[0]


def joined_state(cpu: bool) -> Any:
    """Accelerate's ``PartialState``, in which all processes that were launched have joined.

    Raises:
        DataError: they have not, because there are too few GPUs for them.
    """
    from accelerate import PartialState

    state, size = PartialState(cpu=cpu), _launched_processes()
    if state.num_processes != size:
        raise DataError(
            f"{size} processes were launched, but each works alone, because there are no GPUs here; on CPUs begin "
            f"with ACCELERATE_USE_CPU=1 accelerate launch --multi_gpu --num_processes {size}, or unset WORLD_SIZE"
        )
    return state


def _launched_processes() -> int:
    return max(int(os.environ.get(name) or 1) for name in _SIZES)


def _join(cpu: bool) -> ProcessGroup:
    if _launched_processes() == 1:
        return ProcessGroup()
    with _translate_errors(_NOT_CONNECTED):
        state = joined_state(cpu)
        group = torch.distributed.new_group(timeout=_TIMEOUT, backend="gloo")
    atexit.register(state.destroy_process_group)  # left to the interpreter, it aborts now and then
    return ProcessGroup(state.process_index, state.num_processes, state.local_process_index, group)


@contextmanager
def _translate_errors(failed: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise DataError(failed.format(str(error).partition("\n")[0])) from None


def _until(abort_file: Path, results: Iterable[T]) -> Iterator[T]:
    for result in results:
        yield result
        if abort_file.exists():
            return


def end_with_parent() -> None:
    """In a worker process: watch the parent from a thread, and end this process when it is gone, however it ended."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
