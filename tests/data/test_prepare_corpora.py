"""Corpora are prepared by their readers: labels, segments, band, and a split by song."""

import shutil
from collections import Counter

import numpy as np
import pytest
import soxr

from svc.audio import files, segment
from svc.audio.files import Audio
from svc.cli.prepare import print_summary
from svc.data import manifest, overview, prepare
from svc.data.corpora import Recording
from svc.data.process_file import PrepareJob, process_file
from svc.data.sources import find_sources
from svc.errors import DataError

RATE = 16_000


def note(seconds: float, frequency: float = 220.0) -> Audio:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * frequency * k * time) / k for k in range(1, 8))
    noise = np.random.default_rng(round(frequency)).standard_normal(len(time))
    return Audio((0.1 * tone + 0.01 * noise).astype(np.float32), RATE)


def write(path, audio):
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, audio)


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    """Five songs and a sentence by each of two actors, at 16 kHz inside 44.1 kHz."""
    root = tmp_path_factory.mktemp("corpora") / "ravdess"
    for actor in ("01", "02"):
        for number in range(1, 6):
            tone = note(0.6, 200 + 10 * number + int(actor)).samples
            high = Audio(soxr.resample(tone, RATE, 44_100), 44_100)
            write(root / f"actor{actor}" / "song" / f"03-02-0{number}-01-01-01-{actor}.wav", high)
        write(root / f"actor{actor}" / "speech" / f"03-01-01-01-01-01-{actor}.wav", note(0.5, 150 + int(actor)))
    return root


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    root = tmp_path_factory.mktemp("plain") / "choir"
    for number in range(2):
        write(root / "ann" / f"{number}.wav", note(0.5, 300 + number))
    write(root / "loose.wav", note(0.5))
    return root


def test_several_corpora_in_one_call(ravdess, plain, tiny, tmp_path, capsys):
    summary = prepare.prepare([ravdess, plain], tmp_path / "out", tiny, jobs=1, licence="CC0-1.0")
    clips = {clip.path.rpartition("/")[2]: clip for clip in manifest.read(tmp_path / "out").clips}
    assert len(clips) == 14
    song, sentence, own = clips["03-02-01-01-01-01-01.wav"], clips["03-01-01-01-01-01-02.wav"], clips["0.wav"]
    assert (song.speaker, song.group, song.kind, song.language) == ("actor01", "ravdess/01-01", "song", "en")
    assert (sentence.group, sentence.kind) == ("ravdess/speech/01-01", "speech")
    assert (song.licence, own.licence, own.group) == ("CC BY-NC-SA 4.0", "CC0-1.0", "")
    assert song.band == pytest.approx(8_000, rel=0.03)
    assert sentence.band == 8_000
    songs = [clip for clip in clips.values() if clip.kind == "song" and clip.group]
    side_of = {clip.group: clip.split for clip in songs}
    assert all(clip.split == side_of[clip.group] for clip in songs)
    assert set(side_of.values()) == {"train", "valid", "test"}
    assert [row["path"] for row in summary.rejected] == ["loose.wav"]
    assert len(summary.notes) == 1
    assert "choir: has no folders of songs, so it is split by file" in summary.notes[0]
    print_summary(summary, tmp_path / "out")
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["speaker", "minutes", "song", "speech", "pitch", "band", "train", "valid", "test"]
    row = next(row for row in rows if row.strip().startswith("actor01"))
    assert row.split()[1:4] == ["0.1", "0.1", "0.0"]  # minutes: 3.5 s, of which 0.5 s are speech
    picture = overview.write(tmp_path / "out", summary.clips, summary.speakers).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    assert [int(cell) for cell in row.split()[-3:]] == [
        sum(clip.speaker == "actor01" and clip.split == name for clip in clips.values())
        for name in ("train", "valid", "test")
    ]


def test_folders_of_one_speaker_beside_others(ravdess, plain, tmp_path):
    """A folder of files without folders of speakers is a speaker of its name."""
    for name in ("kumi", "yuki"):
        for number in range(3):
            write(tmp_path / name / f"{number}.wav", note(0.1))
    result = find_sources([ravdess, tmp_path / "kumi", plain, tmp_path / "yuki"])
    count = Counter((one.speaker, one.group.partition("/")[0]) for one in result.recordings)
    assert count == {("actor01", "ravdess"): 6, ("actor02", "ravdess"): 6, ("ann", ""): 2} | {
        (name, ""): 3 for name in ("kumi", "yuki")
    }
    assert [row["path"] for row in result.rejected] == ["loose.wav"]
    (alone,) = {one.speaker for one in find_sources([tmp_path / "kumi"]).recordings}
    assert alone == "kumi"


def test_a_second_run_measures_nothing(ravdess, tiny, tmp_path, monkeypatch):
    recording = Recording(ravdess / "actor01" / "speech" / "03-01-01-01-01-01-01.wav", "ann")
    job = PrepareJob(recording, ravdess, tmp_path, {}, tiny)
    first = process_file(job)
    monkeypatch.setattr("svc.data.process_file.read_segment", None)
    assert process_file(job) == first


def test_segments_of_a_file(tiny, tmp_path):
    long = np.concatenate([note(0.5, 200).samples, note(0.6, 400).samples])
    write(tmp_path / "long.wav", Audio(long, RATE))
    stored = files.read(tmp_path / "long.wav").samples
    part = np.concatenate([block.samples for block in segment.read_segment(tmp_path / "long.wav", 0.5, 1.0)])
    np.testing.assert_array_equal(part, stored[RATE // 2 : RATE])

    def process(**times):
        recording = Recording(tmp_path / "long.wav", "ann", **times)
        return process_file(PrepareJob(recording, tmp_path, tmp_path / "store", {}, tiny))

    (clip,) = process(start=0.5, end=1.0)
    assert (clip.path, clip.frames) == ("long.wav#t=0.5,1", 50)
    assert clip.split_unit == "long.wav"
    (whole,) = process()
    assert (whole.path, whole.frames) == ("long.wav", 110)
    assert whole.key != clip.key
    rejected = process(start=5.0, end=6.0)
    assert "has less than 0.3 s between 5.0 and 6.0 s" in rejected["reason"]


def test_speakers_of_one_name_in_two_corpora(ravdess, plain, tmp_path):
    shutil.copytree(plain, tmp_path / "choir")
    (tmp_path / "choir" / "ann").rename(tmp_path / "choir" / "actor01")
    with pytest.raises(DataError, match=r"^actor01: is a speaker of ravdess and of folder; prepare them apart, or"):
        find_sources([ravdess, tmp_path / "choir"])
    both = find_sources([plain, tmp_path / "choir"])
    assert {one.speaker for one in both.recordings} == {"ann", "actor01"}
    with pytest.raises(DataError, match=r"is or lies in another folder that you named; name it once$"):
        find_sources([ravdess, ravdess / "actor01"])


def test_folders_of_songs_are_groups(plain, tmp_path):
    for name in ("ann/one/a.wav", "ann/two/a.wav", "bob/one/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(plain / "ann" / "0.wav", tmp_path / name)
    contents = find_sources([tmp_path])
    assert [one.group for one in contents.recordings] == ["folder/one", "folder/two", "folder/one"]
    assert contents.notes == []


def test_shares_without_training_are_refused(plain, tiny, tmp_path):
    with pytest.raises(DataError, match="choose two from 0 up with a sum below 1"):
        prepare.prepare(plain, tmp_path / "out", tiny, jobs=1, valid=0.5, test=0.5)
    assert not (tmp_path / "out").exists()
