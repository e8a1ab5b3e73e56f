"""Recordings of any length at a rate: in memory or on the disk the same samples, and nothing left behind."""

import gc
import resource
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio import chunks as spooling
from svc.audio.chunks import resample_to_buffer
from svc.audio.files import Audio
from svc.audio.resample import fit_length, resample
from svc.errors import AudioError


def noise(length: int) -> np.ndarray:
    return (0.3 * np.random.default_rng(length).standard_normal(length)).astype(np.float32)


def in_blocks(audio: Audio, size: int = 1_000) -> list[Audio]:
    return [Audio(audio.samples[n : n + size], audio.rate) for n in range(0, len(audio.samples), size)]


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 20_000),
    old=st.integers(8_000, 192_000),
    new=st.sampled_from([8_000, 16_000, 24_000, 44_100]),
    size=st.integers(500, 30_000),
    long=st.sampled_from([600, 0.05, 0]),
)
def test_it_is_the_recording_resampled_and_padded_to_whole_frames(length, old, new, size, long):
    audio = Audio(noise(length), old)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooling, "MAX_SECONDS_IN_MEMORY", long)
        spooled = resample_to_buffer(in_blocks(audio, size), new)
    assert (spooled.rate, spooled.length, spooled.audio.rate) == (old, length, new)
    assert spooled.seconds == audio.seconds
    whole = resample(audio, new).samples
    hop = new // 100
    np.testing.assert_allclose(spooled.audio.samples, fit_length(whole, -(-len(whole) // hop) * hop), rtol=0, atol=1e-6)
    assert spooled.audio.samples.dtype == np.float32
    assert spooled.audio.samples.flags.writeable  # torch warns of others


def open_files() -> int:
    gc.collect()
    return len([*Path("/dev/fd").iterdir()])


@pytest.mark.parametrize("failure", [None, AudioError, KeyboardInterrupt])
def test_nothing_is_left_behind(tmp_path, monkeypatch, failure):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spooling, "MAX_SECONDS_IN_MEMORY", 0)
    before = open_files()

    def interrupted():
        yield from in_blocks(Audio(noise(20_000), 8_000))
        assert open_files() == before + 1
        assert not list(tmp_path.iterdir())  # it has no name even now
        if failure:
            raise failure("mine")

    if failure:
        with pytest.raises(failure, match=r"^mine$"):
            resample_to_buffer(interrupted(), 16_000)
    else:
        spooled = resample_to_buffer(interrupted(), 16_000)
        assert not list(tmp_path.iterdir())
        whole = resample(Audio(noise(20_000), 8_000), 16_000).samples
        np.testing.assert_allclose(spooled.audio.samples, whole, rtol=0, atol=1e-6)
        del spooled
    assert open_files() == before


@pytest.mark.parametrize("limit", [0, 10_000])
def test_no_room(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spooling, "MAX_SECONDS_IN_MEMORY", 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(AudioError, match=rf"^{tmp_path}: no room [^\n]*; free some disk space or set TMPDIR"):
            resample_to_buffer(in_blocks(Audio(noise(100_000), 8_000)), 8_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_no_folder_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr(spooling, "MAX_SECONDS_IN_MEMORY", 0)
    with pytest.raises(
        AudioError, match=r"missing: no room [^\n]*No such file[^\n]*; free some disk space or set TMPDIR"
    ):
        resample_to_buffer([Audio(noise(10_000), 8_000)], 8_000)
