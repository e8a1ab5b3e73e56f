"""Atomic file writes: a file appears whole or not at all."""

import contextlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON by ``write_bytes``; numbers that are not finite become null.

    Raises:
        OSError: as ``write_bytes``.
    """
    text = json.dumps(_finite(content), indent=1, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
