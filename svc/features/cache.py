"""Features under the hash of everything they depend on, so that nothing in here can be stale.

An entry is a safetensors file written beside its place and renamed into it: it is there whole or not at all, and
two writers of one key write the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from svc.errors import DataError
from svc.utils.atomic import write_bytes

Arrays = Mapping[str, NDArray[np.generic]]

FULL_SCALE = 32_767  # of the 16 bits in which samples are stored


def sixteen_bits(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples as they are stored; what is beyond full scale is clipped."""
    return np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16)


def samples_of(stored: NDArray[np.generic]) -> NDArray[np.float32]:
    """Samples as they were, but for the rounding."""
    return stored.astype(np.float32) / np.float32(FULL_SCALE)


def file_hash(path: Path) -> str:
    """SHA-256 of the bytes of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Store:
    """A folder of entries."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def key(self, source: str, identity: Mapping[str, object]) -> str:
        """The key of what an extractor makes of a source with that hash."""
        text = json.dumps([source, identity], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def path(self, key: str) -> Path:
        """Where the entry of a key lies."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        """Whether the entry is there."""
        return self.path(key).exists()

    def put(self, key: str, arrays: Arrays) -> None:
        """Write an entry; it appears whole or not at all.

        Raises:
            DataError: the folder cannot be written.
        """
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
            write_bytes(path, data, sync=True)
        except OSError as error:
            raise DataError(f"{path.parent}: cannot be written ({error.strerror}); free some space") from None

    def get(self, key: str, name: str, first: int | None = None, last: int | None = None) -> NDArray[np.generic]:
        """One array of an entry, or its elements first … last − 1 of the last axis; only they are read.

        Raises:
            DataError: the entry is absent or damaged.
        """
        try:
            with safe_open(self.path(key), framework="numpy") as entry:
                view = entry.get_slice(name)
                axes = len(view.get_shape())
                array: NDArray[np.generic] = view[(*[slice(None)] * (axes - 1), slice(first, last))]
                return array
        except (OSError, SafetensorError) as error:
            raise self._unreadable(key, error) from None

    def whole(self, key: str) -> dict[str, NDArray[np.generic]]:
        """All arrays of an entry, by name.

        Raises:
            DataError: the entry is absent or damaged.
        """
        return {name: self.get(key, name) for name in self.shapes(key)}

    def shapes(self, key: str) -> dict[str, tuple[int, ...]]:
        """The shape of every array of an entry; none of them is read.

        Raises:
            DataError: the entry is absent or damaged.
        """
        try:
            with safe_open(self.path(key), framework="numpy") as entry:
                return {name: tuple(entry.get_slice(name).get_shape()) for name in entry.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise self._unreadable(key, error) from None

    def _unreadable(self, key: str, error: Exception) -> DataError:
        return DataError(f"{self.path(key)}: cannot be read ({error}); run `svc prepare` again")
