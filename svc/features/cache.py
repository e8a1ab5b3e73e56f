"""Feature cache: entries keyed by the hash of everything they depend on, so that none can be stale.

An entry is a safetensors file written beside its place and renamed into it: it is there whole or not at all, and
two writers of one key write the same bytes.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from svc.errors import DataError, os_errors_as
from svc.utils.atomic import write_bytes

Arrays = Mapping[str, NDArray[np.generic]]

FULL_SCALE = 32_767  # of the 16 bits in which samples are stored


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples as 16-bit integers, clipped at full scale."""
    return np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16)


def from_int16(stored: NDArray[np.generic]) -> NDArray[np.float32]:
    """Samples from 16-bit integers."""
    return stored.astype(np.float32) / np.float32(FULL_SCALE)


def file_hash(path: Path) -> str:
    """SHA-256 of the bytes of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class FeatureCache:
    """A folder of entries.

    Raises:
        DataError: an entry that is read is absent or damaged, or the folder cannot be written.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def key(self, source: str, fingerprint: Mapping[str, object]) -> str:
        """The key of the features of a source with that hash, by an extraction with that fingerprint."""
        text = json.dumps([source, fingerprint], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def path(self, key: str) -> Path:
        """Where the entry of a key lies."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        """Whether the entry is there."""
        return self.path(key).exists()

    def put(self, key: str, arrays: Arrays) -> None:
        """Write an entry; it appears whole or not at all."""
        path = self.path(key)
        with os_errors_as(DataError, path.parent, "cannot be written", "free some space"):
            path.parent.mkdir(parents=True, exist_ok=True)
            data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
            write_bytes(path, data, sync=True)

    def copy_from(self, other: "FeatureCache", key: str) -> None:
        """Copy an entry of another cache, unless it is there."""
        if not self.has(key):
            self.put(key, other.get_all(key))

    @contextmanager
    def open(self, key: str) -> Iterator["CacheEntry"]:
        """Open an entry once, to read from it several times."""
        try:
            with safe_open(self.path(key), framework="numpy") as file:
                yield CacheEntry(file)
        except (OSError, SafetensorError) as error:
            raise DataError(f"{self.path(key)}: cannot be read ({error}); run `svc prepare` again") from None

    def get(self, key: str, name: str, first: int | None = None, last: int | None = None) -> NDArray[np.generic]:
        """``CacheEntry.get`` of the entry with a key."""
        with self.open(key) as entry:
            return entry.get(name, first, last)

    def get_all(self, key: str) -> dict[str, NDArray[np.generic]]:
        """All arrays of an entry, by name."""
        with self.open(key) as entry:
            return {name: entry.get(name) for name in entry.shapes()}


class CacheEntry:
    """An open entry of the cache."""

    def __init__(self, file: Any):
        self._file = file

    def get(self, name: str, first: int | None = None, last: int | None = None) -> NDArray[np.generic]:
        """One array, or its elements [first, last) of the last axis; only they are read."""
        view = self._file.get_slice(name)
        axes = len(view.get_shape())
        array: NDArray[np.generic] = view[(*[slice(None)] * (axes - 1), slice(first, last))]
        return array

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every array; none of them is read."""
        return {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}  # noqa: SIM118
