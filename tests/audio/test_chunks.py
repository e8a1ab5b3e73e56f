"""Recordings in parts: the same samples, in the same order, as of the whole, however they are cut."""

import gc
import mmap
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from svc.audio import chunks as cutting
from svc.audio.chunks import drop_pages, iter_chunks, iter_overlapping, iter_spans
from svc.audio.files import Audio
from svc.audio.resample import resample, resample_stream, resampled_length

quick = settings(max_examples=40, deadline=None)
RATE = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]) | st.integers(8_000, 192_000)
CUTS = st.lists(st.integers(0, 5_000), max_size=8)


def cut(samples: np.ndarray, places: list[int]) -> list[np.ndarray]:
    return np.split(samples, sorted(min(place, len(samples)) for place in places))


def noise(length: int, seed: int = 0) -> np.ndarray:
    return (0.3 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def ramp(length: int) -> np.ndarray:
    return np.arange(1, length + 1, dtype=np.float32)


# --- cutting ---


@quick
@given(length=st.integers(0, 100), part=st.integers(1, 30))
def test_parts_are_the_whole(length, part):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "CHUNK_SAMPLES", part)
        found = list(iter_chunks(ramp(length)))
    assert all(0 < len(piece) <= part for piece in found)
    np.testing.assert_array_equal(np.concatenate([[], *found]), ramp(length))


@quick
@given(length=st.integers(0, 60), cuts=CUTS.map(lambda cuts: [n % 60 for n in cuts]), data=st.data())
def test_excerpts_are_slices_with_silence_behind(length, cuts, data):
    ends = sorted(data.draw(st.lists(st.integers(0, 90), max_size=6)))
    firsts = sorted(data.draw(st.lists(st.integers(0, 90), min_size=len(ends), max_size=len(ends))))
    spans = [(min(first, last), last) for first, last in zip(firsts, ends, strict=True)]
    padded = np.pad(ramp(length), (0, 100))
    found = list(iter_spans(cut(ramp(length), cuts), spans))
    assert len(found) == len(spans)
    for (first, last), piece in zip(spans, found, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_array_equal(piece, padded[first:last])


@quick
@given(frames=st.integers(0, 40), hop=st.integers(1, 7), size=st.integers(1, 50), margin=st.integers(0, 20), cuts=CUTS)
def test_overlapping_blocks_keep_every_frame_once_and_hear_around_it(frames, hop, size, margin, cuts):
    samples = ramp(frames * hop)
    kept = []
    for block, heard in iter_overlapping(cut(samples, [n % 280 for n in cuts]), hop, frames, size, margin):
        assert block.with_context.start == max(0, block.core.start - margin)
        assert block.with_context.stop == min(frames, block.core.stop + margin)
        np.testing.assert_array_equal(heard, samples[block.with_context.start * hop : block.with_context.stop * hop])
        numbers = np.arange(frames)[block.with_context][block.core_slice]
        np.testing.assert_array_equal(numbers, np.arange(frames)[block.core])
        kept += [*numbers]
    assert kept == [*range(frames)]


def resident() -> int:
    """Bytes of files in memory."""
    return int(Path("/proc/self/statm").read_text().split()[2]) * mmap.PAGESIZE


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_samples_in_a_file_do_not_stay_in_memory(tmp_path):
    path = tmp_path / "samples"
    ramp(1 << 24).tofile(path)  # 64 MiB
    samples = np.memmap(path, dtype=np.float32, mode="r+", shape=(1 << 24,))
    gc.collect()
    before = resident()
    total = samples.sum(dtype=np.float64)
    assert resident() - before > 60 << 20
    drop_pages(samples)
    assert resident() - before < 2 << 20
    assert sum(part.sum(dtype=np.float64) for part in iter_chunks(samples)) == total
    assert resident() - before < 2 << 20


# --- resampling ---


@quick
@given(length=st.integers(0, 6_000), old=RATE, new=RATE, cuts=CUTS, seed=st.integers(0, 9))
def test_resampled_in_parts_is_resampled_whole(length, old, new, cuts, seed):
    samples = noise(length, seed)
    whole = resample(Audio(samples, old), new).samples
    found = list(resample_stream(cut(samples, cuts), old, new))
    assert sum(map(len, found)) == resampled_length(length, old, new) == round(length * new / old)
    assert all(len(part) and part.dtype == np.float32 for part in found)
    np.testing.assert_allclose(np.concatenate([[], *found]), whole, rtol=0, atol=1e-6)


@quick
@given(length=st.integers(0, 3_000), old=RATE, new=RATE, cuts=CUTS, wanted=st.integers(0, 9_000))
@example(length=1, old=16_000, new=8_000, cuts=[], wanted=2)
def test_resampled_to_a_length(length, old, new, cuts, wanted):
    samples = noise(length)
    found = np.concatenate([[], *resample_stream(cut(samples, cuts), old, new, wanted)])
    natural = resample(Audio(samples, old), new).samples
    past = len(natural) + (length * new / old - len(natural) == 0.5)  # half a sample more is one, or is left out
    expected = np.pad(natural, (0, 9_000))[:wanted]
    expected[len(natural) : past] = found[len(natural) : past]
    assert len(found) == wanted
    np.testing.assert_allclose(found[:-1], expected[:-1], rtol=0, atol=1e-6)


def test_resampling_an_hour_does_not_drift():
    """A sine of 100 Hz, at the end of an hour still at its phase; no more than a part of it was ever there."""
    old, new, second = 11_025, 8_000, np.arange(11_025) / 11_025
    part = np.sin(2 * np.pi * 100 * second).astype(np.float32)
    count, last = 0, np.zeros(0, np.float32)
    for piece in resample_stream((part for _ in range(3_600)), old, new):
        count += len(piece)
        last = np.concatenate([last, piece])[-8_000:]
    assert count == 3_600 * new
    np.testing.assert_allclose(last[:7_800], np.sin(2 * np.pi * 100 * np.arange(7_800) / new), atol=1e-4)
