"""Weights from their publisher, fetched once and kept in a cache folder as safetensors."""

import hashlib
import os
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from svc.encoders.archive import LIMIT, read_archive
from svc.errors import WeightsError, printable
from svc.utils.atomic import write_bytes
from svc.utils.progress import bar

TIMEOUT = 30.0  # s without a byte
PIECE = 2**20  # bytes
WITHOUT = "or take the encoder cepstral, which needs no weights"


def cache() -> Path:
    """The folder ``svc`` in the user's cache: ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svc"


def weights_file(
    name: str,
    address: str,
    wanted: Mapping[str, Tensor],
    published: Callable[[str], str] = str,
    without: str = WITHOUT,
) -> Path:
    """The safetensors file of a network, ``<name>.safetensors`` in the cache, made if it is not there.

    It is made from the publisher's PyTorch archive, which is fetched, or read where it lies if somebody put it into
    the cache by hand, and of which nothing is executed. The SHA-256 of what was made is kept beside it, in
    ``<name>.sha256``, and must hold ever after. The publisher states no checksum, so this is trust on first use: what
    came the first time is believed, over TLS; what changes later is refused.

    Args:
        name: of the network.
        address: of the archive, https.
        wanted: the network's tensors by name, on any device; values do not matter.
        published: from a name there to the one in the archive.
        without: the end of every refusal: what else one can do.

    Raises:
        WeightsError: the archive cannot be fetched or is refused, the cache cannot be written, or the file in it has
            changed.
    """
    folder = cache()
    stored, checksum = folder / f"{name}.safetensors", folder / f"{name}.sha256"
    try:
        if not (stored.exists() and checksum.exists()):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{name}.lock"):
                if not (stored.exists() and checksum.exists()):  # another process may have been at it
                    _make(stored, checksum, address, wanted, published, without)
        if checksum.read_bytes().split()[:1] != [_sha256(stored).encode()]:
            raise WeightsError(f"{stored}: has changed since it was made; delete it to have it made anew, {without}")
    except (OSError, SafetensorError) as error:
        reason = printable(str(error))
        raise WeightsError(f"{folder}: cannot be used ({reason}); set XDG_CACHE_HOME elsewhere, {without}") from None
    return stored


def _make(
    stored: Path,
    checksum: Path,
    address: str,
    wanted: Mapping[str, Tensor],
    published: Callable[[str], str],
    without: str,
) -> None:
    """Both files, under the lock; the checksum comes last, and without it there is nothing."""
    by_hand = stored.with_name(address.rpartition("/")[2])
    fetched, written = stored.with_name(f".fetched-{by_hand.name}"), stored.with_name(f".{stored.name}")
    laid = by_hand.exists()
    try:
        if not laid:
            _fetch(stored.stem, address, fetched, without)
        tensors = read_archive(
            by_hand if laid else fetched,
            {published(name): tensor for name, tensor in wanted.items()},
            called=str(by_hand) if laid else address,
            way_out=f"fetch {address} by other means and put it at {by_hand}, {without}",
        )
        save_file({name: tensors[published(name)] for name in wanted}, written)
        line = f"{_sha256(written)}  {stored.name}\n"
        checksum.unlink(missing_ok=True)
        written.replace(stored)
        write_bytes(checksum, line.encode())
    finally:
        fetched.unlink(missing_ok=True)
        written.unlink(missing_ok=True)


def _fetch(name: str, address: str, path: Path, without: str) -> None:
    """All bytes of an address.

    Raises:
        WeightsError: they do not come, or not all.
    """
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, path.open("wb") as stream:  # noqa: S310
            size = int(answer.headers.get("Content-Length", 0))
            if not 0 < size <= LIMIT:
                raise OSError(f"its length is given as {size} bytes")
            with bar(name, size, "B") as shown:
                while piece := answer.read(PIECE):
                    shown.update(stream.write(piece))
            if stream.tell() != size:
                raise OSError(f"{stream.tell()} of {size} bytes came")
    except (OSError, HTTPException, ValueError) as error:
        reason = printable(str(error))
        raise WeightsError(
            f"{name}: its weights are not in {path.parent} and cannot be fetched ({reason}); fetch {address} elsewhere "
            f"and put it into that folder, {without}"
        ) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
