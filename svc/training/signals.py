"""Stop on Ctrl-C or SIGTERM: between two steps, and in all processes after the same one."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import torch
from accelerate import Accelerator


@contextlib.contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Event that Ctrl-C or SIGTERM sets, so that a run stops between two steps; a second Ctrl-C stops it at once."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def any_rank(accelerator: Accelerator, stop: bool) -> bool:
    """True if any process got a signal; all must stop after the same step."""
    if accelerator.num_processes == 1:
        return stop
    return bool(accelerator.reduce(torch.tensor(float(stop), device=accelerator.device)) > 0)
