"""Songs that a voice was trained on are found by song and by audio, whatever their take, name and format."""

import numpy as np
import pytest

from svc.audio import files
from svc.audio.files import Audio
from svc.data.corpora import Recording
from svc.data.process_file import PrepareJob, process_file
from svc.data.provenance import training_data
from svc.evaluation.exposure import Exposure
from svc.evaluation.metrics.table import by_exposure
from svc.evaluation.songs import ConversionPair, Song, find_songs
from svc.features.training_data import TrainingData, song_hash


def exposure(folder, tiny, *songs):
    return Exposure(TrainingData(frozenset(song_hash(*song) for song in songs)), tiny, folder)


def test_another_take_in_the_layout_of_a_corpus(tmp_path, tiny):
    for take, statement in (("01", "01"), ("02", "01"), ("01", "02")):
        for actor in ("01", "02"):
            path = tmp_path / f"actor{actor}" / "song" / f"03-02-05-01-{statement}-{take}-{actor}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for name in ("ravdess/05-01", "folder/03-02-05-01-01-01-01"):  # by song, or as a file of a plain folder
        own = exposure(tmp_path, tiny, ("actor01", name))
        seen = [song.id for song in find_songs(tmp_path) if own.has(song.path, song.speaker, song)]
        assert seen == [f"actor01/song/03-02-05-01-01-0{take}-01" for take in (1, 2)]


def test_a_take_that_is_not_there(tmp_path, tiny):
    """The voice was prepared from a plain folder, by file; of its song only the take that was held out is evaluated."""
    held_out = {}
    for statement in ("01", "02"):
        path = tmp_path / "actor01" / "song" / f"03-02-05-02-{statement}-02-01.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        held_out[statement] = Song(path, "actor01", f"song/{path.stem}")
    own = exposure(
        tmp_path, tiny, ("actor01", "folder/03-02-05-01-01-01-01"), ("actor02", "folder/03-02-05-01-02-01-02")
    )
    assert own.has(held_out["01"].path, "actor01", held_out["01"])
    assert not own.has(held_out["02"].path, "actor01", held_out["02"])
    truth = tmp_path / "03-02-05-02-02-02-02.wav"  # of actor 02, who was trained on another take
    assert own.has(truth, "actor02", held_out["02"])
    assert not own.has(tmp_path / "truth.wav", "actor02", held_out["02"])


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("ravdess/05-01/2", True),
        ("wavs/hello", True),
        ("hello/take 2", True),
        ("ravdess/05-010/2", False),
        ("x", False),
    ],
)
def test_by_the_path_below_the_speaker(name, seen, tmp_path, tiny):
    own = exposure(tmp_path, tiny, ("Ann", "ravdess/05-01"), ("Ann", "folder/hello"))
    missing = tmp_path / "none.wav"
    assert own.has(missing, "Ann", Song(missing, "Ann", name)) is seen
    assert not own.has(missing, "Bob", Song(missing, "Bob", name))


@pytest.fixture(scope="module")
def clips(tmp_path_factory, tiny):
    """Two recordings, of which the first is prepared."""
    folder = tmp_path_factory.mktemp("clips")
    for number, frequency in enumerate((200.0, 300.0)):
        time = np.arange(8000) / 16_000
        files.write(
            folder / f"{number}.wav", Audio(0.3 * np.sin(2 * np.pi * frequency * time, dtype=np.float32), 16_000)
        )
        files.write(folder / f"copy of {number}.flac", files.read(folder / f"{number}.wav"))
    (clip,) = process_file(
        PrepareJob(Recording(folder / "0.wav", "Ann"), folder, folder / "store", {}, tiny, split="train")
    )
    return folder, clip


def test_a_copy_by_any_name_and_lossless_format(clips, tiny):
    folder, clip = clips
    own = Exposure(training_data([clip]), tiny, folder)
    for name, seen in (("copy of 0.flac", True), ("copy of 1.flac", False)):
        assert own.has(folder / name, "", Song(folder / name, "", "another")) is seen


def test_rows_of_a_song_whose_truth_was_trained_on(tmp_path, tiny):
    own = exposure(tmp_path, tiny, ("Bob", "folder/song"))
    song, other = (Song(tmp_path / "none.wav", "Ann", name) for name in ("song", "other"))
    pairs = [ConversionPair(one, to, tmp_path / f"{one.name}{to}") for one in (song, other) for to in ("Bob", "Cat")]
    rows = [{"system": "voice", "song": pair.song.id, "target": pair.target} for pair in pairs]
    rows.append({"system": "reference", "song": "Bob/0", "target": "Bob"})
    notes = own.mark(rows, pairs, {pair.output: tmp_path / "truth.wav" for pair in pairs})
    assert notes == ["The voice was trained on 1 of 2 songs, or on their truths."]
    assert [row.get("seen") for row in rows] == [1.0, 0.0, 0.0, 0.0, None]
    assert [len(part) for part in by_exposure(rows).values()] == [4, 2]
    assert list(by_exposure(rows[1:])) == [""]
