"""The feature store: what goes in comes out, whole or not at all, and nothing in it can be stale."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.config import Config, flatten, load, to_tree
from svc.encoders.crepe import Crepe
from svc.encoders.phone_classifier import PhoneEncoder
from svc.errors import DataError
from svc.features import extract
from svc.features.cache import FeatureCache, file_hash

ARRAYS = {
    "f0": np.linspace(100, 200, 50, dtype=np.float32),
    "voiced": np.arange(50) % 3 > 0,
    "content": np.arange(100, dtype=np.float16).reshape(2, 50),
    "warped": np.arange(300, dtype=np.float32).reshape(3, 2, 50),
    "audio": np.arange(50 * 240, dtype=np.int16),
}


@pytest.fixture
def store(tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path / "store")


def files(store: FeatureCache) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", list(ARRAYS))
def test_round_trip(store, name):
    key = store.key("a", {})
    assert not store.has(key)
    store.put(key, ARRAYS)
    assert store.has(key)
    assert files(store) == [store.path(key)]
    whole = store.get(key, name)
    assert (whole.dtype, whole.shape) == (ARRAYS[name].dtype, ARRAYS[name].shape)
    for first, last in ((None, None), (0, 50), (10, 20), (0, 0), (49, 50), (40, None), (None, 7)):
        np.testing.assert_array_equal(store.get(key, name, first, last), ARRAYS[name][..., first:last])


@settings(max_examples=30, deadline=None)
@given(ends=st.tuples(st.integers(0, 49), st.integers(0, 50)).map(sorted))
def test_slices(tmp_path_factory, ends):
    store = FeatureCache(tmp_path_factory.mktemp("store"))
    store.put("ab", {"x": ARRAYS["warped"][:, :, ::-1]})  # not contiguous
    np.testing.assert_array_equal(store.get("ab", "x", *ends), ARRAYS["warped"][:, :, ::-1][..., slice(*ends)])


@pytest.mark.parametrize("where", ["svc.utils.atomic.os.fsync", "svc.utils.atomic.Path.replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_nothing(store, monkeypatch, where, failure):
    def fail(*_):
        raise failure

    monkeypatch.setattr(where, fail)
    wanted = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else DataError
    with pytest.raises(wanted, match="No space left" if wanted is DataError else None):
        store.put("ab", ARRAYS)
    assert not store.has("ab")
    assert files(store) == []


def test_a_failed_write_keeps_the_old_entry(store, monkeypatch):
    store.put("ab", {"x": np.zeros(3)})
    monkeypatch.setattr("svc.utils.atomic.os.fsync", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error")))
    with pytest.raises(DataError, match="I/O error"):
        store.put("ab", {"x": np.ones(3)})
    np.testing.assert_array_equal(store.get("ab", "x"), np.zeros(3))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        FeatureCache(tmp_path / "file").put("ab", ARRAYS)


def test_writers_of_one_key_do_not_disturb_readers(store):
    store.put("ab", ARRAYS)
    faults: list[Exception] = []
    done = threading.Event()

    def write():
        try:
            for _ in range(10):
                store.put("ab", ARRAYS)
        except Exception as fault:
            faults.append(fault)

    def read():
        while not done.is_set():
            try:
                np.testing.assert_array_equal(store.get("ab", "audio"), ARRAYS["audio"])
            except Exception as fault:
                faults.append(fault)

    writers = [threading.Thread(target=write) for _ in range(4)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert faults == []
    assert files(store) == [store.path("ab")]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"not a table",
        lambda data: data[:7],
        lambda data: data[:50],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data[:8] + b"x" + data[9:],
        lambda data: data.replace(b"F32", b"F99"),
    ],
)
def test_damage_is_a_sentence(store, damage):
    store.put("ab", ARRAYS)
    path = store.path("ab")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"cannot be read.*svc prepare") as caught:
        store.get("ab", "f0")
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_not_there_is_a_sentence(store):
    with pytest.raises(DataError, match="cannot be read"):
        store.get("ab", "f0")
    store.put("ab", {"x": np.zeros(3)})
    with pytest.raises(DataError, match="cannot be read"):
        store.get("ab", "f0")
    store.path("cd").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read"):
        store.get("cd", "f0")


def test_no_frames_are_made_up(store):
    store.put("ab", ARRAYS)
    with pytest.raises(DataError, match="out of bounds"):
        store.get("ab", "f0", 40, 60)


def test_the_key_depends_on_every_part(store):
    base = {"version": 1, "f0": ["crepe", "1234", "tiny"], "rate": 24_000}
    keys = [
        store.key("source", base),
        store.key("sourcf", base),
        *(store.key("source", base | change) for change in ({"version": 2}, {"rate": 16_000}, {"more": None})),
        *(store.key("source", base | {"f0": f0}) for f0 in (["crepe", "1234"], ["crepe", "1235", "tiny"])),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)
    assert store.key("source", dict(reversed(base.items()))) == keys[0]
    assert FeatureCache(Path("elsewhere")).key("source", base) == keys[0]


def test_the_identity_of_features_holds_every_knob_and_weight(monkeypatch):
    changes = {
        "sample_rate": 16_000,
        "features.f0.refine": False,
        "features.f0.fmin": 60.0,
        "features.f0.fmax": 900.0,
        "features.f0.voicing_threshold": 0.4,
        "features.f0.silence_threshold_db": -40.0,
        "features.content.layer": "embedding",
        "features.content.perturbation_factors": [0.9],
    }
    knobs = {name for name in flatten(to_tree(Config())) if name.startswith("features.")}
    assert knobs - changes.keys() == {"features.f0.model", "features.content.encoder"}  # known by their weights
    store = FeatureCache(Path("x"))

    def key(config: Config) -> str:
        return store.key("source", extract.feature_fingerprint(config))

    keys = [key(Config()), *(key(load(None, {name: value})) for name, value in changes.items())]
    for part in (Crepe, PhoneEncoder):
        for what in ("cache_key", "weight_hash"):
            with monkeypatch.context() as patch:
                patch.setattr(part, what, property(lambda _: "x") if what == "cache_key" else lambda _: "x")
                keys.append(key(Config()))
    monkeypatch.setattr(extract, "VERSION", extract.VERSION + 1)
    keys.append(key(Config()))
    assert len(set(keys)) == len(keys)
    assert key(Config()) == keys[-1]


def test_hash_of_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
