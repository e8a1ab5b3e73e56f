"""Archives of tensors are read to the last bit, and nothing that somebody wrote into one is ever run."""

import contextlib
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.encoders.archive import read_archive
from svc.errors import WeightsError

RAMP = torch.arange(6.0).reshape(2, 3)


def saved(path: Path, content: object, **options) -> Path:
    torch.save(content, path, **options)
    return path


class Stored:
    """What an index calls a storage by."""

    def __init__(self, key: object = "0", size: int = 6, kind: type = torch.FloatStorage, word: str = "storage"):
        self.identifier = (word, kind, key, "cpu", size)


class Claim:
    """A tensor of which the index says what it likes."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


class Call:
    """Anything that an index may call for."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Writer(pickle.Pickler):
    def persistent_id(self, thing):
        return thing.identifier if isinstance(thing, Stored) else None


def index(content: object, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    Writer(stream, protocol).dump(content)
    return stream.getvalue()


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return path


def written(path: Path, content: object, **extra: bytes) -> Path:
    return zipped(path, {"data.pkl": index(content), "data/0": RAMP.numpy().tobytes(), **extra})


def claim(storage=None, offset=0, shape=(2, 3), strides=(3, 1), *rest) -> dict:
    return {"a": Claim(storage or Stored(), offset, shape, strides, False, OrderedDict(), *rest)}


def read(path: Path, **wanted: torch.Tensor) -> dict[str, torch.Tensor]:
    return read_archive(path, wanted or {"a": RAMP})


def test_a_network_comes_back(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 5), torch.nn.BatchNorm1d(4))
    state = network.state_dict()
    found = read_archive(saved(tmp_path / "network.pth", state), state)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    assert found["1.num_batches_tracked"].dtype == torch.int64


dtypes = st.sampled_from([torch.float32, torch.float16, torch.int64])
shapes = st.lists(st.integers(0, 4), max_size=4)


@st.composite
def views(draw) -> torch.Tensor:
    """A transposed piece of a larger tensor."""
    whole = torch.randn([n + 2 for n in draw(shapes)], generator=torch.Generator().manual_seed(draw(st.integers(0, 9))))
    for axis in range(whole.ndim):
        whole = whole.narrow(axis, draw(st.integers(0, 2)), draw(st.integers(0, whole.shape[axis] - 2)))
    return (100 * whole).to(draw(dtypes)).permute(draw(st.permutations(range(whole.ndim))))


@given(st.dictionaries(st.text(), views(), max_size=4))
@settings(max_examples=40, deadline=None)
def test_whatever_is_saved_comes_back(tmp_path_factory, tensors):
    tensors |= {f"{name} again": tensor[..., :1] for name, tensor in tensors.items() if tensor.ndim}
    found = read_archive(saved(tmp_path_factory.mktemp("a") / "a.pth", tensors), tensors)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
        assert found[name].is_contiguous()


def test_the_tests_own_writer_is_understood(tmp_path):
    assert torch.equal(read(written(tmp_path / "a.pth", claim()))["a"], RAMP)
    assert torch.equal(
        read(written(tmp_path / "b.pth", claim(None, 1, (2, 2), (2, 1))), a=torch.empty(2, 2))["a"],
        torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
    )


def test_half_is_read_as_single(tmp_path):
    path = saved(tmp_path / "a.pth", {"a": (RAMP / 3).half()})
    assert torch.equal(read(path)["a"], (RAMP / 3).half().float())


def test_the_rest_is_left_there(tmp_path):
    path = saved(tmp_path / "a.pth", {"b": torch.zeros(3), "a": RAMP, "step": 7})
    assert read(path).keys() == {"a"}


def test_nothing_is_run(tmp_path):
    marker = tmp_path / "marker"
    attack = Call(os.system, f"touch {marker}")
    archives = [
        saved(tmp_path / "0.pth", {"a": RAMP, "b": attack}),
        saved(tmp_path / "1.pth", attack),
        saved(tmp_path / "2.pth", {"a": RAMP, "b": Call(eval, f"open({str(marker)!r}, 'w')")}),
        saved(tmp_path / "3.pth", {"a": RAMP, "b": Call(OrderedDict, [("b", 1)])}),
        saved(tmp_path / "4.pth", {"a": RAMP, "b": Call(torch.FloatStorage, 10)}),
        saved(tmp_path / "5.pth", {"a": RAMP, "b": attack}, pickle_protocol=4),
        saved(tmp_path / "6.pth", torch.nn.Linear(2, 2)),
    ]
    for path in archives:
        with pytest.raises(WeightsError, match=path.name):
            read(path)
    with pytest.raises(WeightsError, match=r"calls for (posix|nt)\.system, which no tensor needs"):
        read(archives[0])
    assert not marker.exists()
    torch.load(archives[0], weights_only=False)
    assert marker.exists()  # the attack is one


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (claim(None, 0, (10**12,), (1,)), "wrong shape"),
        (claim(None, 0, (3, 2), (2, 1)), "wrong shape"),
        (claim(None, 0, (2, -3)), "wrong shape"),
        (claim(None, 1), "beyond its storage"),
        (claim(None, 0, (2, 3), (4, 1)), "beyond its storage"),
        (claim(None, 0, (2, 3), (2**62, 2**62)), "beyond its storage"),
        (claim(None, 5, (2, 3), (-3, 1)), "impossible"),
        (claim(None, -1), "impossible"),
        (claim(None, 0, (2, 3), (3,)), "impossible"),
        (claim(None, 0, (2, 3), (3, 0.5)), "instruction BINFLOAT"),
        (claim(None, 0, (2, 3), (3, "1")), "something else than tensors"),
        (claim(None, 0, (2, 3), (3, 1), {}), "something else than tensors"),
        (claim(Stored(size=7)), "not as long"),
        (claim(Stored(size=2**40)), "not as long"),
        (claim(Stored(size=-6)), "beyond its storage"),
        (claim(Stored("1")), "not as long"),
        (claim(Stored("../data/0")), "cannot be"),
        (claim(Stored("/etc/passwd")), "cannot be"),
        (claim(Stored("²")), "cannot be"),
        (claim(Stored("")), "cannot be"),
        (claim(Stored(0)), "cannot be"),
        (claim(Stored(word="module")), "cannot be"),
        (claim(Stored(kind=torch.DoubleStorage)), "torch.DoubleStorage"),
        (claim(Stored(kind=torch.LongStorage)), "wrong type"),
        (claim((1, 2)), "something else than tensors"),
        ({"a": 1}, "a is missing"),
        ({"b": RAMP.tolist}, "calls for"),
        ({}, "a is missing"),
        ({1: 2}, "no dict by names"),
        (7, "something else than a dict"),
        ([1], "instruction EMPTY_LIST"),
    ],
)
def test_an_index_that_lies_is_refused(tmp_path, content, reason):
    with pytest.raises(WeightsError, match=rf"a\.pth: refused, .*{reason}.*; fetch it anew"):
        read(written(tmp_path / "a.pth", content))


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02}s.",
        b"\x80\x02}u.",
        b"\x80\x02q\x01.",
        b"\x80\x02h\x01.",
        b"\x80\x02t.",
        b"\x80\x02R.",
        b"\x80\x02Q.",
        b"\x80\x02}b.",
        b"\x80\x02}(X\x01\x00\x00\x00au.",
        b"\x80\x02}X\x01\x00\x00\x00a}b.",
        b"\x80\x02\x8a\xff.",
        b"\xff",
        b"cos\nsystem\n.",
        index(claim())[:-1],
        index(claim())[:-9],
        index(claim(), protocol=4),
    ],
)
def test_an_index_that_is_no_program_is_refused(tmp_path, program):
    path = zipped(tmp_path / "a.pth", {"data.pkl": program, "data/0": RAMP.numpy().tobytes()})
    with pytest.raises(WeightsError, match="refused"):
        read(path)


def test_what_is_no_archive_of_tensors_is_refused(tmp_path):
    legacy = saved(tmp_path / "legacy.pth", {"a": RAMP}, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(legacy)
    members = {"data.pkl": index(claim()), "data/0": RAMP.numpy().tobytes()}
    whole = saved(tmp_path / "whole.pth", {"a": torch.randn(1000)}).read_bytes()
    (tmp_path / "half.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "tail.pth").write_bytes(whole[len(whole) // 2 :])
    (tmp_path / "empty.pth").write_bytes(b"")
    cases = {
        legacy: "not a zip",
        tmp_path / "half.pth": "not a zip",
        tmp_path / "tail.pth": "",
        tmp_path / "empty.pth": "not a zip",
        tmp_path / "nowhere.pth": "No such file",
        zipped(tmp_path / "packed.pth", members, zipfile.ZIP_DEFLATED): "compressed",
        zipped(tmp_path / "bare.pth", {"data/0": b""}): "no archive of tensors",
        zipped(tmp_path / "two.pth", {**members, "more/data.pkl": b""}): "no archive of tensors",
        zipped(tmp_path / "big.pth", {**members, "byteorder": b"big"}): "order",
        zipped(tmp_path / "long.pth", {**members, "data.pkl": bytes(2**24 + 1)}): "index is too long",
    }
    for path, reason in cases.items():
        with pytest.raises(WeightsError, match=rf"{path.name}: refused, .*{reason}"):
            read(path)


def test_size_is_bounded(tmp_path, monkeypatch):
    path = written(tmp_path / "a.pth", claim())
    monkeypatch.setattr("svc.encoders.archive.LIMIT", path.stat().st_size)
    read(path)
    monkeypatch.setattr("svc.encoders.archive.LIMIT", path.stat().st_size - 1)
    with pytest.raises(WeightsError, match="too long"):
        read(path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_refused_or_harmless(tmp_path_factory, data):
    """Any few bytes of an archive changed: a tensor of the right shape or one sentence."""
    folder = tmp_path_factory.getbasetemp()
    whole = bytearray(written(folder / "damaged.pth", claim()).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (folder / "damaged.pth").write_bytes(whole)
    with contextlib.suppress(WeightsError):
        assert read(folder / "damaged.pth")["a"].shape == RAMP.shape


@given(st.binary(max_size=40), st.integers(0, 200))
@settings(max_examples=150, deadline=None)
def test_a_damaged_index_is_refused_or_harmless(tmp_path_factory, piece, place):
    program = index(claim())
    program = program[:place] + piece + program[place + len(piece) :]
    path = tmp_path_factory.getbasetemp() / "index.pth"
    zipped(path, {"data.pkl": program, "data/0": np.arange(6, dtype=np.float32).tobytes()})
    with contextlib.suppress(WeightsError):
        assert read(path)["a"].shape == RAMP.shape
