"""Long recordings become clips of at most 15 s that end in silence; nothing is lost; a slice at a time is in memory."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio import files
from svc.audio.files import Audio
from svc.data import dataset, extraction, manifest, prepare, process_file
from svc.data.extraction import MAX_FRAMES, MIN_FRAMES, slice_at_silence
from svc.features import content
from svc.features.cache import FeatureCache

RATE = 16_000


def phrases(*seconds: float, pause: float = 0.5) -> np.ndarray:
    """Tones at changing levels with silence behind each."""
    time = [np.arange(round(length * RATE)) / RATE for length in seconds]
    tones = [
        (0.4 / (1 + n % 3)) * sum(np.sin(2 * np.pi * 200 * k * t) / k for k in range(1, 6)) for n, t in enumerate(time)
    ]
    rest = np.zeros(round(pause * RATE))
    return np.concatenate([part for tone in tones for part in (tone, rest)]).astype(np.float32)


@given(st.integers(0, 20_000), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_slices_cover_every_frame_once_and_none_is_too_long(frames, seed):
    loudness = np.random.default_rng(seed).uniform(-90, -10, frames).astype(np.float32)
    slices = slice_at_silence(loudness)
    assert [slices[0][0], *(last for _, last in slices)] == [0, *(first for first, _ in slices[1:]), frames]
    assert all(last - first <= MAX_FRAMES for first, last in slices)
    if frames > MAX_FRAMES:
        assert all(last - first >= MIN_FRAMES for first, last in slices)
    else:
        assert len(slices) == 1


def test_a_slice_ends_at_the_last_silence_that_it_can_reach():
    loudness = np.full(4_000, -20, dtype=np.float32)
    silences = [(600, 660), (1_300, 1_380), (2_500, 2_520), (2_600, 2_650)]
    for first, last in silences:
        loudness[first:last] = -80
    cuts = [last for _, last in slice_at_silence(loudness)]
    assert cuts[:2] == [1_380 - 16, 2_650 - 16]  # 0.15 s before the next sound; 20 frames are too short to cut in
    assert cuts[-1] == 4_000


def test_without_silence_the_quietest_place_is_cut():
    loudness = np.full(2_000, -20, dtype=np.float32)
    loudness[900:960] = -30
    assert slice_at_silence(loudness) == [(0, 944), (944, 2_000)]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Of one speaker a recording of 18.5 s and one of 1.5 s, of another one of 1.7 s."""
    folder = tmp_path_factory.mktemp("long")
    for name, samples in (
        ("ann/long.wav", phrases(5, 6, 6)),
        ("ann/short.wav", phrases(1)),
        ("bob/short.wav", phrases(1.2)),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        files.write(folder / name, Audio(samples, RATE))
    return folder


@pytest.fixture(scope="module")
def sliced(long, tiny, tmp_path_factory):
    """Prepared, and the seconds of audio of which content was extracted at once."""
    out, seconds = tmp_path_factory.mktemp("sliced"), []
    with pytest.MonkeyPatch.context() as patch:
        real = content.extract
        patch.setattr(
            content,
            "extract",
            lambda encoder, layer, audio, *rest, **named: (
                seconds.append(audio.seconds),
                real(encoder, layer, audio, *rest, **named),
            )[1],
        )
        prepare.prepare(long, out, tiny, jobs=1)
    return manifest.read(out), seconds


def test_content_is_extracted_slice_by_slice(sliced, tiny):
    prepared, seconds = sliced
    assert max(seconds) <= 15
    assert len(seconds) == len(prepared.clips) * (1 + len(tiny.features.content.perturbation_factors))


def test_slices_join_to_the_recording_in_silence_and_on_one_side_of_the_split(sliced, long, tiny):
    prepared, _ = sliced
    clips = [clip for clip in prepared.clips if clip.path.startswith("ann/long.wav")]
    assert len(clips) == 2
    assert clips[0].path.startswith("ann/long.wav#t=0,")
    assert all(clip.frames <= MAX_FRAMES for clip in clips)
    assert len({clip.split for clip in clips}) == 1
    assert {clip.split_unit for clip in clips} == {"ann/long.wav"}
    cache = FeatureCache(prepared.folder / "store")
    joined = np.concatenate([cache.get(clip.key, "audio") for clip in clips])
    whole = extraction.load_audio(long / "ann" / "long.wav", tiny.sample_rate).samples
    np.testing.assert_allclose(joined / 32_767, whole, atol=2e-5)
    for clip in clips[:-1]:
        assert cache.get(clip.key, "loudness")[-15:].max() < -60


def test_level_and_activity_refer_to_the_whole_recording(sliced):
    prepared, _ = sliced
    cache = FeatureCache(prepared.folder / "store")
    clips = [clip for clip in prepared.clips if clip.path.startswith("ann/long.wav")]
    loudness, voiced = (
        np.concatenate([cache.get(clip.key, name) for clip in clips]) for name in ("loudness", "voiced")
    )
    counted = voiced.astype(bool) & (loudness >= loudness.max() - content.ACTIVE)
    for clip in clips:
        relative = cache.get(clip.key, "loudness") - np.median(loudness[counted])
        np.testing.assert_allclose(cache.get(clip.key, "relative_loudness"), relative, atol=1e-4)
        active = cache.get(clip.key, "loudness") >= loudness.max() - content.ACTIVE
        np.testing.assert_array_equal(np.diff(cache.get(clip.key, "cumulative_active")), active)
        assert clip.active == active.sum()


def test_slices_are_not_computed_again(sliced, long, tiny, monkeypatch):
    prepared, _ = sliced
    monkeypatch.setattr(process_file, "load_audio", None)
    prepare.prepare(long, prepared.folder, tiny, jobs=1)
    assert manifest.read(prepared.folder).clips == prepared.clips


def test_a_segment_opens_one_entry_once_and_reads_no_more_than_it_needs(sliced, tiny, monkeypatch):
    prepared, _ = sliced
    items = dataset.SegmentDataset(prepared, tiny)
    opened, read = [], []
    real_open, real_get = FeatureCache.open, dataset.CacheEntry.get
    monkeypatch.setattr(FeatureCache, "open", lambda cache, key: (opened.append(key), real_open(cache, key))[1])
    monkeypatch.setattr(
        dataset.CacheEntry,
        "get",
        lambda entry, name, first=None, last=None: (
            read.append((name, first, last)),
            real_get(entry, name, first, last),
        )[1],
    )
    length = items[0, 1].conditioning.frames
    assert len(opened) == 1
    assert all(last - first <= length * (tiny.hop if name == "audio" else 1) for name, first, last in read)


def test_fields_of_a_clip_are_kept_and_older_manifests_refused(sliced, tmp_path):
    prepared, _ = sliced
    labels = {"group": "a song", "kind": "song", "language": "ja", "licence": "CC-BY-4.0", "band": 8_000.0}
    clips = [replace(clip, **labels) for clip in prepared.clips]
    manifest.write(tmp_path, clips, prepared.speakers, [], prepared.features)
    assert list(manifest.read(tmp_path).clips) == clips
    table = (tmp_path / manifest.MANIFEST).read_text()
    (tmp_path / manifest.MANIFEST).write_text(table.replace('"speaker"', '"singer"'))
    with pytest.raises(manifest.DataError, match=r"prepared by another version of svc; run `svc prepare` again$"):
        manifest.read(tmp_path)
