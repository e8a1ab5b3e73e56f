"""The feature store: what goes in comes out, whole or not at all, and nothing in it can be stale."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

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
    "warped": np.arange(300, dtype=np.float32).reshape(3, 2, 50)[:, :, ::-1],  # not contiguous
    "audio": np.arange(50 * 240, dtype=np.int16),
}


@pytest.fixture
def store(tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path / "store")


def files(store: FeatureCache) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_round_trip(store):
    key = store.key("a", {})
    assert not store.has(key)
    with pytest.raises(DataError, match="cannot be read"):
        store.get(key, "f0")
    store.put(key, ARRAYS)
    assert store.has(key)
    assert files(store) == [store.path(key)]
    for name, array in ARRAYS.items():
        whole = store.get(key, name)
        assert (whole.dtype, whole.shape) == (array.dtype, array.shape)
        for first, last in ((None, None), (10, 20), (0, 0), (49, 50), (40, None), (None, 7)):
            np.testing.assert_array_equal(store.get(key, name, first, last), array[..., first:last])


@pytest.mark.parametrize("where", ["svc.utils.atomic.os.fsync", "svc.utils.atomic.Path.replace"])
@pytest.mark.parametrize(
    ("failure", "error"),
    [(OSError(28, "No space left on device"), DataError), (KeyboardInterrupt("No space left"), KeyboardInterrupt)],
)
def test_a_failed_write_keeps_the_old_entry_and_leaves_no_new_one(store, monkeypatch, where, failure, error):
    def fail(*_):
        raise failure

    store.put("ab", {"x": np.zeros(3)})
    monkeypatch.setattr(where, fail)
    for key in ("ab", "cd"):
        with pytest.raises(error, match="No space left"):
            store.put(key, ARRAYS)
    np.testing.assert_array_equal(store.get("ab", "x"), np.zeros(3))
    assert files(store) == [store.path("ab")]


def test_writers_of_one_key_do_not_disturb_readers(store):
    store.put("ab", ARRAYS)
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(store.put, "ab", ARRAYS) for _ in range(10)]
        while not all(writer.done() for writer in writers):
            np.testing.assert_array_equal(store.get("ab", "audio"), ARRAYS["audio"])
        for writer in writers:
            writer.result()
    assert files(store) == [store.path("ab")]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data.replace(b"F32", b"F99"),
    ],
)
def test_a_damaged_entry_is_an_error(store, damage):
    store.put("ab", ARRAYS)
    path = store.path("ab")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"cannot be read.*svc prepare") as caught:
        store.get("ab", "f0")
    assert len(str(caught.value).splitlines()) == 1


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


def test_the_fingerprint_holds_every_option_and_weight(monkeypatch):
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
    options = {name for name in flatten(to_tree(Config())) if name.startswith("features.")}
    assert options - changes.keys() == {"features.f0.model", "features.content.encoder"}  # known by their weights
    store = FeatureCache(Path("x"))

    def key(**overrides) -> str:
        return store.key("source", extract.feature_fingerprint(load(None, {"features.f0.model": "tiny"} | overrides)))

    keys = [key(), *(key(**{name: value}) for name, value in changes.items())]
    for part in (Crepe, PhoneEncoder):
        for what in ("cache_key", "weight_hash"):
            with monkeypatch.context() as patch:
                patch.setattr(part, what, property(lambda _: "x") if what == "cache_key" else lambda _: "x")
                keys.append(key())
    monkeypatch.setattr(extract, "VERSION", extract.VERSION + 1)
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[-1]


def test_hash_of_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
