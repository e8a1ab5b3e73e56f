"""Preparing: bad files are listed and the rest goes on; twice is once; two at a time do not mix."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock
from zoo import make_zoo

from svc.audio import files
from svc.config import load
from svc.data import dataset, extraction, manifest, prepare
from svc.data.sources import find_by_speaker
from svc.errors import DataError
from svc.features import f0
from svc.features.cache import FeatureCache


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, singers_folder):
    """One good singer, and one whose folder is a zoo."""
    folder = tmp_path_factory.mktemp("mixed")
    shutil.copytree(singers_folder / "alto", folder / "alto")
    (folder / "zoo").mkdir()
    bad, good = make_zoo(folder / "zoo")
    return folder, bad, good


def test_every_bad_file_is_listed_and_every_good_one_prepared(mixed, tiny, tmp_path):
    folder, bad, good = mixed
    summary = prepare.prepare(folder, tmp_path, tiny, jobs=1)
    rows = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    listed = {row["path"] for row in rows}
    result = {str(path.relative_to(folder)) for _, path in find_by_speaker(folder)[0]}
    assert listed == {str(path.relative_to(folder)) for path in bad.values()} & result
    assert all(row["reason"].count("\n") == 0 and ";" in row["reason"] for row in rows)
    accepted = {clip.path for clip in summary.clips}
    assert accepted == result - listed
    assert {str(p.relative_to(folder)) for p in good.values()} & result <= accepted


def files_of(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def two_clips(singers_folder, tmp_path):
    """One by each of two speakers."""
    for name in ("alto", "bass"):
        (tmp_path / "two" / name).mkdir(parents=True)
        shutil.copy(singers_folder / name / "0.wav", tmp_path / "two" / name)
    return tmp_path / "two"


def test_a_second_run_and_several_processes_give_the_same_folder(two_clips, tiny, tmp_path):
    prepare.prepare(two_clips, tmp_path / "a", tiny, jobs=1)
    once = files_of(tmp_path / "a")
    prepare.prepare(two_clips, tmp_path / "a", tiny, jobs=1)
    assert files_of(tmp_path / "a") == once
    prepare.prepare(two_clips, tmp_path / "b", tiny, jobs=2)
    assert files_of(tmp_path / "b") == once


def test_another_content_encoder_tracks_no_f0_again(prepared, singers_folder, tiny, monkeypatch, tmp_path):
    words = replace(tiny.features.content, layer="envelope")
    other = replace(tiny, features=replace(tiny.features, content=words))
    prepare.prepare(singers_folder, tmp_path / "anew", other, jobs=1)
    shutil.copytree(prepared.folder, tmp_path / "again")
    monkeypatch.setattr(f0, "track", None)
    prepare.prepare(singers_folder, tmp_path / "again", other, jobs=1)
    anew, again = files_of(tmp_path / "anew"), files_of(tmp_path / "again")
    assert anew.items() <= again.items()


def test_another_run_in_the_folder_is_an_error(singers_folder, tiny, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(DataError, match="another `svc prepare` is working there"):
        prepare.prepare(singers_folder, tmp_path, tiny, jobs=1)


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        ([], "no files in speakers' folders"),
        (["loose.wav"], "none of 1 files is usable"),
        (["ann/notes.txt"], "no files in speakers' folders"),
        (["ann/broken.wav"], "none of 1 files is usable"),
        (["a\x07b/a.wav"], "is no speaker name"),
        (["-rf/a.wav"], "is no speaker name"),
    ],
)
def test_a_folder_without_speakers_is_an_error(layout, sentence, tiny, tmp_path):
    for name in layout:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text("words")
    (tmp_path / "data").mkdir(exist_ok=True)
    with pytest.raises(DataError, match=sentence):
        prepare.prepare(tmp_path / "data", tmp_path / "out", tiny, jobs=1)


def test_statistics_of_a_speaker(prepared):
    alto, bass = prepared.speakers
    assert bass.low_f0 < bass.median_f0 < bass.high_f0
    assert bass.median_f0 < alto.median_f0
    assert alto.seconds == pytest.approx(sum(c.frames for c in prepared.clips if c.speaker == "alto") / 100)


def test_other_features_than_prepared_are_refused(prepared, tiny):
    with pytest.raises(DataError, match="prepared with other sample_rate, content"):
        prepare.check_config(
            prepared, load(None, {"features.f0.model": "tiny", "features.content.perturbation_factors": [1.5]})
        )
    prepare.check_config(prepared, tiny)


def test_a_segment_is_a_part_of_the_cache_entry(prepared, tiny):
    items = dataset.SegmentDataset(prepared, tiny)
    batch = items[3, 1]
    clip = items.clips[items.epoch_items[1]]
    store = FeatureCache(prepared.folder / "store")
    whole = dataset.read_audio(store, clip, 0, clip.frames, tiny.hop)[0].numpy()
    crop = batch.audio[0].numpy()
    assert len(crop) == tiny.segment_frames * tiny.hop
    starts = [
        n for n in range(0, len(whole) - len(crop) + 1, tiny.hop) if np.array_equal(whole[n : n + len(crop)], crop)
    ]
    assert len(starts) == 1
    first = starts[0] // tiny.hop
    np.testing.assert_array_equal(
        batch.conditioning.loudness[0].numpy(), store.get(clip.key, "loudness")[first : first + tiny.segment_frames]
    )
    loudness, voiced = store.get(clip.key, "loudness"), store.get(clip.key, "voiced").astype(bool)
    singing = loudness[voiced & (loudness >= loudness.max() - 40)]
    np.testing.assert_allclose(
        batch.conditioning.relative_loudness, batch.conditioning.loudness - np.median(singing), atol=1e-4
    )
    assert batch.conditioning.speaker[0, prepared.speaker_index(clip.speaker)] == 1


def test_item_depends_on_seed_epoch_and_index_alone(prepared, tiny):
    first, second = dataset.SegmentDataset(prepared, tiny), dataset.SegmentDataset(prepared, tiny)
    second[0, 0]
    np.testing.assert_array_equal(first[5, 2].audio, second[5, 2].audio)
    np.testing.assert_array_equal(first[5, 2].conditioning.content, second[5, 2].conditioning.content)
    assert not np.array_equal(first[6, 2].conditioning.content, second[5, 2].conditioning.content)


def test_speaker_names_in_any_script(singers_folder, tiny, tmp_path):
    data = tmp_path / "data"
    names = ["Beyonce\u0301", "आशा", "Ann & Bob", "7b"]
    for name in [*names, "bad\u2028name", "7", "Ann,Bob"]:
        (data / name).mkdir(parents=True)
        shutil.copy(singers_folder / "alto" / "0.wav", data / name / "a\u2028\udcff.wav")
    summary = prepare.prepare(data, tmp_path / "out", tiny, jobs=1)
    again = manifest.read(tmp_path / "out")
    assert {s.name for s in again.speakers} == {"Beyonc\u00e9", "आशा", "Ann & Bob", "7b"}
    assert len(again.clips) == len(summary.clips) == 4
    reasons = {row["path"]: row["reason"] for row in summary.rejected}
    assert reasons.keys() == {"bad\u2028name", "7", "Ann,Bob"}
    assert "7: is a number" in reasons["7"]  # which ``--speaker 7`` means
    assert "holds a comma" in reasons["Ann,Bob"]  # which separates the speakers of a mix


def test_damaged_entry_is_computed_again(two_clips, tiny, tmp_path):
    prepare.prepare(two_clips, tmp_path / "out", tiny, jobs=1)
    whole = files_of(tmp_path / "out")
    for victim in (tmp_path / "out" / "store").rglob("*.safetensors"):
        victim.write_bytes(b"half")
    prepare.prepare(two_clips, tmp_path / "out", tiny, jobs=1)
    assert files_of(tmp_path / "out") == whole


def test_output_inside_the_data_is_refused(singers_folder, tiny):
    with pytest.raises(DataError, match="lies inside the data"):
        prepare.prepare(singers_folder, singers_folder / "out", tiny, jobs=1)
    assert not (singers_folder / "out").exists()


def test_peaks_above_full_scale_are_scaled_not_clipped(tiny):
    time = np.arange(24_000) / 24_000
    tone = (2.0 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    stored = extraction.extract_clip(files.Audio(tone, 24_000), tiny)["audio"] / 32767
    np.testing.assert_allclose(stored, tone[: len(stored)] / 2, atol=1e-3)
