"""PhoneBatch of recordings: what is heard when, by which name, and at which pace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonetics import corpus
from phonetics.corpus import Utterance
from phonetics.dataset import (
    TIME_FACTORS,
    PhoneDataset,
    non_silent,
    random_time_map,
    read_voices,
)
from phonetics.phones import NUMBER, UNKNOWN, Segment

from svc.features.cache import FeatureCache

RATE = 16_000
A = NUMBER["a"]


def tone(*levels: float, frames: int = 50) -> np.ndarray:
    """1 kHz at some levels in dB one after another."""
    amplitude = np.repeat(10 ** (np.array(levels) / 20), frames * 160)
    return (amplitude * np.sin(2 * np.pi * 1_000 * np.arange(len(amplitude)) / RATE)).astype(np.float32)


def put(folder, name: str, voices: np.ndarray, labels: np.ndarray, syllables=()) -> Utterance:
    store = FeatureCache(folder / "store")
    key = store.key(name, {})
    store.put(key, {"audio": voices.astype(np.int16), "labels": labels.astype(np.int8)})
    return Utterance(name, key, len(labels), syllables)


@pytest.fixture
def stairs(tmp_path) -> list[Utterance]:
    """Recordings of constant voltage, a step higher in each frame, or lower, or now this now that: by the voice."""
    steps = np.repeat(100 * np.arange(1, 151), 160)
    unknown, voices = np.full(150, UNKNOWN), np.stack([steps, -steps, steps * (-1) ** np.arange(len(steps))])
    return [
        put(tmp_path, "sung", voices, unknown, ((A,),)),
        put(tmp_path, "spoken", voices, unknown),
        put(tmp_path, f"{corpus.SYNTHETIC}0", voices[:1], unknown),
    ]


def test_what_is_stored_is_read_back(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 16_037)).astype(np.float32)
    samples[:, :4] = 1, -1, 2, -3
    entry = corpus._entry(list(samples), [Segment(("a",), 0, 100)])
    utterance = put(tmp_path, "a", entry["audio"], entry["labels"])
    voices = read_voices(FeatureCache(tmp_path / "store"), utterance)
    assert voices.dtype == np.float32
    np.testing.assert_array_equal(voices[:, :4], [[1, -1, 1, -1]] * 2)
    np.testing.assert_allclose(voices, samples.clip(-1, 1)[:, :16_000], atol=0.5001 / 32_767)  # whole frames
    part = read_voices(FeatureCache(tmp_path / "store"), utterance, 10, 25)
    np.testing.assert_array_equal(part, voices[:, 1_600:4_000])


def test_what_is_loud():
    levels = (-20, -49, -20, -51, -100)  # of which the window of 40 ms sees two at once where they meet
    inside = np.arange(50 * len(levels)).reshape(-1, 50)[:, 3:-3]
    np.testing.assert_array_equal(non_silent(tone(*levels))[inside].all(axis=1), [True, True, True, False, False])
    np.testing.assert_array_equal(non_silent(tone(*levels))[inside].any(axis=1), [True, True, True, False, False])
    assert non_silent(tone(-20)).all()
    assert not non_silent(np.zeros(1_600, dtype=np.float32)).any()
    assert non_silent(np.zeros(1_600, dtype=np.float32)).shape == (10,)
    assert non_silent(np.zeros(0, dtype=np.float32)).shape == (0,)


@given(st.integers(1, 600), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_time_runs_on_and_never_ahead(frames, seed):
    position = random_time_map(frames, np.random.default_rng(seed))
    assert position.shape == (frames,)
    assert position.dtype == np.float32
    assert position[0] == 0
    assert (position <= np.arange(frames)).all()
    steps = np.diff(position)
    assert ((steps > TIME_FACTORS[0] - 1e-3) & (steps < TIME_FACTORS[1] + 1e-3)).all()


@pytest.mark.parametrize("frames", [64, 200])  # the recordings have 150
def test_labels_follow_the_times_and_lengths_end_with_the_recording(tmp_path, stairs, frames):
    times_of = {utterance.key: np.arange(150) for utterance in stairs}
    for step in range(8):
        crops = PhoneDataset(tmp_path, stairs, frames).batch(0, step, 3, 3, 3, times_of)
        for labels, times, length in zip(crops.labels.numpy(), crops.time_map.numpy(), crops.lengths, strict=True):
            first = labels[0]
            assert first <= 150 - frames // 2
            there = min(frames, 150 - first)  # frames of the recording in the crop
            source = times.round().astype(int)
            np.testing.assert_array_equal(labels, np.where(source < there, first + source, UNKNOWN))
            present = times <= there - 1
            assert length == present.sum()
            assert present[:length].all()


def test_a_frame_sounds_as_it_is_labelled(tmp_path, stairs):
    crops = PhoneDataset(tmp_path, stairs, 64).batch(0, 0, 20, 0, 0, {stairs[1].key: np.arange(150)})
    voltages = crops.audio.numpy().reshape(40, 64, 160)
    plain = [item for item in range(40) if np.ptp(voltages[item, 0]) == 0]  # without noise, in a steady voice
    assert len(plain) > 5
    assert any((crops.time_map[item] != crops.time_map[item].round()).any() for item in plain)
    for item in plain:
        labels, source = crops.labels[item].numpy(), crops.time_map[item].round().int().numpy()
        present = voltages[item, source, 0] / voltages[item, 0, 0]
        np.testing.assert_allclose(present, np.where(labels == UNKNOWN, 0, (labels + 1) / (labels[0] + 1)), rtol=1e-3)


def test_pairs_are_two_voices_at_the_same_times(tmp_path, stairs):
    crops = PhoneDataset(tmp_path, stairs, 64).batch(0, 1, 6, 6, 4, {stairs[0].key: np.arange(150)})
    assert crops.pairs == 12
    assert len(crops.audio) == 28
    for shared in (crops.time_map, crops.labels, crops.lengths):
        assert (shared[:24:2] == shared[1:24:2]).all()
    voices = np.sign(crops.audio.mean(dim=1).numpy().round(2)).tolist()
    assert all(one != other for one, other in zip(voices[:24:2], voices[1:24:2], strict=True))
    assert set(voices[:24]) == {1, -1, 0}
    assert set(voices[24:]) == {1}  # made speech has one voice
    times = crops.time_map[:24:2]
    assert len({tuple(row) for row in times[:, 1:].tolist()}) > 4  # each pair has its own
