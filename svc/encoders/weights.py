"""Weights of encoders: safetensors files checked against a network, and files that others publish.

Published files are downloaded once, or put there by the user, checked by SHA-256, and kept in a cache as safetensors.
"""

import hashlib
import json
import os
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from svc.errors import WeightsError, printable
from svc.utils.atomic import write_bytes
from svc.utils.progress import bar

TIMEOUT = 30.0  # s without a byte
CHUNK_BYTES = 2**20
MAX_BYTES = 2**31
SCALARS: list[Any] = [  # a NumPy number in a pickle, by the names of NumPy 2 and 1
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    np.dtype,
    np.dtypes.Float64DType,
]
FALLBACK_HINT = "or use the encoder cepstral, which needs no weights"


def load_checked(path: Path, network: Mapping[str, Tensor], hint: str) -> dict[str, Tensor]:
    """Tensors of a file, of the names, shapes and types of those of a network, which may be on the meta device.

    Raises:
        WeightsError: the file is damaged, of another network, or holds values that are not numbers; with the hint.
    """
    expected = {name: tuple(value.shape) for name, value in network.items()}
    try:
        with safe_open(path, framework="pt") as stored:
            shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
            wrong = sorted(name for name, _ in shapes.items() ^ expected.items())
            if wrong:
                raise WeightsError(f"{path}: {wrong[0]} is missing, unknown or of the wrong shape; {hint}")
            tensors = {name: stored.get_tensor(name) for name in expected}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged ({error}); {hint}") from None
    for name, value in tensors.items():
        if value.dtype != network[name].dtype or not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{path}: {name} holds values that are not numbers or of the wrong type; {hint}")
    return tensors


def half_precision(network: nn.Module) -> dict[str, Tensor]:
    """Tensors of a network by name as our own files hold them: floating-point numbers in half precision."""
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }


def load_trained(network: nn.Module, file: Path | None, recipe: str) -> None:
    """Load what a recipe wrote by ``half_precision``; without a file the weights stay as they are, random.

    Raises:
        WeightsError: the file is not there, damaged or of another network.
    """
    if file is None:
        return
    hint = f"train it with recipes/{recipe}.py"
    if not file.is_file():
        raise WeightsError(f"{file}: not there; {hint}")
    network.load_state_dict(load_checked(file, half_precision(network), f"{hint}, or reinstall svc"))


def read_header(path: Path, key: str, recipe: str) -> Any:
    """A value of a file's header, which is JSON.

    Raises:
        WeightsError: the file is not there or damaged, or its header has no such key; the recipe makes another.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            return json.loads((stored.metadata() or {})[key])
    except (SafetensorError, OSError, KeyError, ValueError):
        reason = "damaged or another network" if path.is_file() else "not there"
        raise WeightsError(f"{path}: {reason}; train it with recipes/{recipe}.py") from None


@dataclass(frozen=True, slots=True)
class Download:
    """A PyTorch file of tensors that somebody else published."""

    name: str  # of the network; the cache holds ``<name>.safetensors``
    url: str  # https
    sha256: str | None = None  # None where no hash could be confirmed: the first download is trusted, over TLS
    fallback: str = FALLBACK_HINT  # the end of every error: what else one can do
    key: str | None = None  # of the tensors where the file holds more than those; its NumPy scalars are read too
    terms: str = ""  # size and licence of a file that only the user may put there: it is never downloaded


def cache_folder() -> Path:
    """The folder ``svc`` in the user's cache: ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svc"


def weights_file(source: Download, network: Mapping[str, Tensor], published_name: Callable[[str], str] = str) -> Path:
    """The safetensors file of a network in the cache; made from the published file if it is not there.

    The published file is downloaded, or read in the cache folder if the user put it there. ``torch.load`` reads it
    with ``weights_only``, after its SHA-256 was compared. The SHA-256 of what was made is kept beside it, in
    ``<name>.sha256``: a file that changes later is refused. ``published_name`` maps the network's names to those in
    the published file.

    Raises:
        WeightsError: the file cannot be downloaded or is refused, the cache cannot be written, or has changed.
    """
    folder = cache_folder()
    stored, checksum = folder / f"{source.name}.safetensors", folder / f"{source.name}.sha256"
    try:
        if not (stored.exists() and checksum.exists()):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{source.name}.lock"):
                if not (stored.exists() and checksum.exists()):  # another process may have made it
                    _make(stored, checksum, source, network, published_name)
        if checksum.read_bytes().split()[:1] != [_sha256(stored).encode()]:
            raise WeightsError(f"{stored}: has changed since it was made; delete it, {source.fallback}")
    except (OSError, SafetensorError) as error:
        reason = printable(str(error))
        raise WeightsError(
            f"{folder}: cannot be used ({reason}); set XDG_CACHE_HOME to another folder, {source.fallback}"
        ) from None
    return stored


def load_published(
    network: nn.Module, source: Download, file: Path | None = None, published_name: Callable[[str], str] = str
) -> None:
    """Load the weights of a network, which may be on the meta device, from ``weights_file`` or another file.

    Raises:
        WeightsError: as ``weights_file``; the file is damaged or of another network.
    """
    expected = network.state_dict()
    path = file or weights_file(source, expected, published_name)
    network.load_state_dict(load_checked(path, expected, "delete it to have it made again"), assign=True)


def _make(
    stored: Path, checksum: Path, source: Download, network: Mapping[str, Tensor], published_name: Callable[[str], str]
) -> None:
    """Both files, under the lock; the checksum comes last, and without it there is nothing."""
    user_provided = stored.with_name(source.url.rpartition("/")[2])
    downloaded, written = stored.with_name(f".fetched-{user_provided.name}"), stored.with_name(f".{stored.name}")
    try:
        here = user_provided.exists()
        if not here and source.terms:
            raise WeightsError(
                f"{source.name}: its weights are not in {stored.parent}; download {source.url} ({source.terms}) "
                f"and put it into that folder, {source.fallback}"
            )
        if not here:
            _download(source, downloaded)
        tensors = _read(user_provided if here else downloaded, str(user_provided) if here else source.url, source)
        save_file(_select(tensors, network, published_name, source), written)
        line = f"{_sha256(written)}  {stored.name}\n"
        checksum.unlink(missing_ok=True)
        written.replace(stored)
        write_bytes(checksum, line.encode())
    finally:
        downloaded.unlink(missing_ok=True)
        written.unlink(missing_ok=True)


def _read(path: Path, display_name: str, source: Download) -> Mapping[str, Tensor]:
    """The tensors of a published file whose hash is the expected one."""
    hint = f"download {source.url} by other means and put it into {path.parent}, {source.fallback}"
    actual = _sha256(path)
    if source.sha256 not in (None, actual):
        raise WeightsError(f"{display_name}: is another file, SHA-256 {actual[:12]}…; {hint}")
    try:
        with torch.serialization.safe_globals(list(SCALARS) if source.key else []):
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        tensors = tensors[source.key] if source.key else tensors
    except Exception as error:  # a broken file raises all kinds
        raise WeightsError(f"{display_name}: refused, {printable(str(error)).split('. ')[0]}; {hint}") from None
    if not isinstance(tensors, Mapping):
        raise WeightsError(f"{display_name}: refused, it holds something else than tensors by name; {hint}")
    return tensors


def _select(
    tensors: Mapping[str, Tensor], network: Mapping[str, Tensor], published_name: Callable[[str], str], source: Download
) -> dict[str, Tensor]:
    """The tensors of the network, in its precision; others are left out."""
    selected = {}
    for name, like in network.items():
        value = tensors.get(published_name(name))
        if not isinstance(value, Tensor) or value.shape != like.shape:
            raise WeightsError(
                f"{source.url}: {published_name(name)} is missing or of the wrong shape; {source.fallback}"
            )
        selected[name] = value.to(like.dtype).contiguous()
    return selected


def _download(source: Download, path: Path) -> None:
    """Write all bytes of a URL to a file; raises WeightsError if they do not come, or not all."""
    try:
        with urllib.request.urlopen(source.url, timeout=TIMEOUT) as answer, path.open("wb") as stream:  # noqa: S310
            size = int(answer.headers.get("Content-Length", 0))
            if not 0 < size <= MAX_BYTES:
                raise OSError(f"its length is given as {size} bytes")
            with bar(source.name, size, "B") as shown:
                while chunk := answer.read(CHUNK_BYTES):
                    shown.update(stream.write(chunk))
            if stream.tell() != size:
                raise OSError(f"{stream.tell()} of {size} bytes came")
    except (OSError, HTTPException, ValueError) as error:
        reason = printable(str(error))
        raise WeightsError(
            f"{source.name}: its weights are not in {path.parent} and cannot be downloaded ({reason}); download "
            f"{source.url} elsewhere and put it into that folder, {source.fallback}"
        ) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
