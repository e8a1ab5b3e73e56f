"""How a run is stopped by hand: between two steps, and in all processes after the same one."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import torch
from accelerate import Accelerator


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Set by Ctrl-C or SIGTERM, so that a run stops between two steps; a second Ctrl-C stops it at once."""
    stop = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    earlier = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def any_process(accelerator: Accelerator, stop: bool) -> bool:
    """Whether any process was asked to stop; all must leave after the same step."""
    if accelerator.num_processes == 1:
        return stop
    asked = accelerator.reduce(torch.tensor(float(stop), device=accelerator.device))
    return bool(asked > 0)
