"""Atomic file writes: a file appears whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path


def write_bytes(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write beside the file's place and rename into it; ``sync`` waits until it is on the disk.

    Raises:
        OSError: the folder does not take it; what was there before is untouched.
    """
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk names none
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
