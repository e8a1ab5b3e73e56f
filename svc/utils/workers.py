"""Worker processes that end with their parent, however that ends."""

import os
import threading
from multiprocessing import parent_process


def end_with_parent() -> None:
    """Watch the parent process from a thread, and end this process when it is gone."""
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
