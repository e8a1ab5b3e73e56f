"""Tensors out of a PyTorch archive, a zip whose index is a pickle, without unpickling: read, never run.

A pickle is a program for a small stack machine. ``pickletools`` takes it apart, and the machine here knows only what
an (ordered) dict of tensors is written with. A function is a name to it: nothing is imported, nothing is called.
"""

import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from pickletools import genops

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svc.errors import WeightsError, printable

LIMIT, INDEX_LIMIT = 2**31, 2**24  # bytes of an archive and of its index
DAMAGE = (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, OverflowError, struct.error)  # of zipfile
DICT, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
TYPES = {"torch FloatStorage": "<f4", "torch HalfStorage": "<f2", "torch LongStorage": "<i8"}
PUSHED = {"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"}  # instructions whose argument goes on the stack
CONSTANTS: dict[str, object] = {"EMPTY_TUPLE": (), "NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class _Refused(ValueError):
    """The archive holds what an archive of tensors does not."""


@dataclass(frozen=True)
class Name:
    """Of a function or a type; inert."""

    text: str


@dataclass(frozen=True)
class Storage:
    """Numbers in a row: their type, the member of the archive that holds them, and how many they are."""

    type: str
    member: str
    size: int


@dataclass(frozen=True)
class View:
    """A tensor as the index describes it: offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def check(self) -> None:
        """Refuse a tensor that reaches beyond its storage."""
        if len(self.shape) != len(self.strides) or min((self.offset, *self.shape, *self.strides)) < 0:
            raise _Refused("a tensor has an impossible shape")
        reach = sum((length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and self.offset + reach >= self.storage.size:
            raise _Refused("a tensor reaches beyond its storage")

    def of(self, numbers: NDArray[np.generic]) -> Tensor:
        """The tensor, its numbers copied out of the storage's."""
        if 0 in self.shape:
            return torch.from_numpy(np.empty(self.shape, numbers.dtype))
        strides = [stride * numbers.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)
        return torch.from_numpy(view.copy())


def read_archive(
    path: Path,
    wanted: Mapping[str, Tensor],
    *,
    called: str = "",
    way_out: str = "fetch it anew from its publisher",
) -> dict[str, Tensor]:
    """Tensors by name from a file that ``torch.save`` wrote of a dict of them, of which nothing is executed.

    Args:
        path: the file.
        wanted: tensors of the names, shapes and types to read; their values do not matter, so that they may be on the
            meta device. Others in the file are left there. Numbers with a point may be stored in another precision.
        called: what a refusal names instead of the path.
        way_out: what to do about a file that is refused.

    Raises:
        WeightsError: the file is damaged, is no such archive, calls for anything but tensors, or lacks one.
    """
    try:
        if path.stat().st_size > LIMIT:
            raise _Refused("it is too long")
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            root = _root(members)
            if f"{root}/byteorder" in members and archive.read(f"{root}/byteorder") != b"little":
                raise _Refused("its bytes are in an order that is no longer used")
            views = _index(archive.read(f"{root}/data.pkl"), root)
            return {name: tensor.to(wanted[name].dtype) for name, tensor in _tensors(archive, members, views, wanted)}
    except DAMAGE as error:
        reason = printable(str(error)) or "damaged"
        raise WeightsError(f"{called or path}: refused, {reason}; {way_out}") from None


def _members(archive: zipfile.ZipFile) -> dict[str, int]:
    """Bytes of every member."""
    infos = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in infos):
        raise _Refused("it is compressed")
    if sum(info.file_size for info in infos) > LIMIT:
        raise _Refused("it is too long")
    return {info.filename: info.file_size for info in infos}


def _root(members: Mapping[str, int]) -> str:
    """The one folder inside the archive."""
    roots = [name.removesuffix("/data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise _Refused("it is no archive of tensors")
    if members[f"{roots[0]}/data.pkl"] > INDEX_LIMIT:
        raise _Refused("its index is too long")
    return roots[0]


def _index(program: bytes, root: str) -> dict[str, object]:
    """What the index describes, by name; tensors are ``View``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickletools, about names that are refused anyway
            described = _interpret(program, root)
    except _Refused:
        raise
    except (ValueError, LookupError, OverflowError):  # of pickletools, an empty stack, a memo that is not there
        raise _Refused("its index is damaged") from None
    if not isinstance(described, dict):
        raise _Refused("it holds something else than a dict of tensors")
    return described


def _interpret(program: bytes, root: str) -> object:
    stack: list[object] = []
    marks: list[int] = []
    memo: dict[int, object] = {}

    def since_mark() -> list[object]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for opcode, argument, _ in genops(program):
        match opcode.name:
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case name if name in PUSHED:
                stack.append(argument)
            case name if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case "EMPTY_DICT":
                stack.append({})
            case "GLOBAL":
                stack.append(_known(str(argument)))
            case "BINPUT" | "LONG_BINPUT":
                memo[int(argument or 0)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int(argument or 0)])
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [stack.pop() for _ in range(int(opcode.name[-1]))]
                stack.append(tuple(reversed(items)))
            case "BINPERSID":
                stack.append(_storage(stack.pop(), root))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_described(function, arguments))
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _put(stack[-1], [key, value])
            case "SETITEMS":
                items = since_mark()
                _put(stack[-1], items)
            case "BUILD":  # attributes of an ordered dict (versions of modules): left out
                if not isinstance(stack.pop(), dict) or not isinstance(stack[-1], dict):
                    raise _Refused("its index sets the state of an object")
            case _:
                raise _Refused(f"its index has the instruction {opcode.name}")
    raise _Refused("its index ends early")


def _known(name: str) -> Name:
    if name not in {DICT, TENSOR, *TYPES}:
        raise _Refused(f"it calls for {name.replace(' ', '.')}, which no tensor needs")
    return Name(name)


def _storage(identifier: object, root: str) -> Storage:
    match identifier:
        case ("storage", Name(kind), str(key), str(), int(size)) if kind in TYPES and key.isascii() and key.isdigit():
            return Storage(TYPES[kind], f"{root}/data/{key}", size)
    raise _Refused("its index names a storage that cannot be")


def _described(function: object, arguments: object) -> object:
    match function, arguments:
        case Name(text), () if text == DICT:
            return {}
        case Name(text), (Storage() as storage, int(offset), tuple(shape), tuple(strides), bool(), dict()) if (
            text == TENSOR and all(isinstance(number, int) for number in (*shape, *strides))
        ):
            return View(storage, offset, shape, strides)
    raise _Refused("its index makes something else than tensors")


def _put(target: object, items: list[object]) -> None:
    """Set keys and values, which take turns, in a dict."""
    keys = items[::2]
    if not isinstance(target, dict) or len(items) % 2 or not all(isinstance(key, str) for key in keys):
        raise _Refused("its index is no dict by names")
    target.update(zip(keys, items[1::2], strict=True))


def _tensors(
    archive: zipfile.ZipFile, members: Mapping[str, int], views: Mapping[str, object], wanted: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """The wanted ones, each storage read once."""
    found = {name: _fitting(name, views.get(name), like) for name, like in wanted.items()}
    order = sorted(found, key=lambda name: found[name].storage.member)
    for storage, names in groupby(order, key=lambda name: found[name].storage):
        if members.get(storage.member) != storage.size * np.dtype(storage.type).itemsize:
            raise _Refused("a storage is not as long as the index says")
        numbers = np.frombuffer(archive.read(storage.member), storage.type)
        for name in names:
            yield name, found[name].of(numbers)


def _fitting(name: str, view: object, like: Tensor) -> View:
    """What the index says of a wanted tensor, if it fits."""
    if not isinstance(view, View) or view.shape != tuple(like.shape):
        raise _Refused(f"{name} is missing or of the wrong shape")
    point = np.dtype(view.storage.type).kind == "f"
    if point != like.is_floating_point() or (not point and like.dtype != torch.int64):
        raise _Refused(f"{name} is of the wrong type")
    view.check()
    return view
