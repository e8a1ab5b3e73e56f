"""Batch conversion: a bad file stops nothing, and an interrupted folder goes on."""

import time

import pytest
from test_cli import svc

from svc.audio import files
from svc.errors import DataError
from svc.inference.batch import list_jobs


@pytest.fixture
def folder(world):
    (world / "songs" / "two").mkdir(parents=True)
    (world / "songs" / "one.wav").write_bytes((world / "song.wav").read_bytes())
    (world / "songs" / "two" / "one.wav").write_bytes((world / "song.wav").read_bytes())
    (world / "songs" / "broken.wav").write_bytes(b"RIFF of nothing")
    (world / "songs" / "notes.txt").write_text("not a song")
    return world / "songs"


def convert(monkeypatch, capsys, *arguments):
    return svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", *arguments)


def test_all_but_the_bad_ones(folder, monkeypatch, capsys):
    code, out, err = convert(monkeypatch, capsys, "songs")
    assert code == 0
    assert "2 songs converted, 0 already there, 1 failed" in out
    assert "broken.wav" in err
    targets = sorted(path.relative_to(folder.parent) for path in folder.parent.glob("songs_Ann/**/*.wav"))
    assert [str(path) for path in targets] == ["songs_Ann/one.wav", "songs_Ann/two/one.wav"]


def test_a_batch_continues(folder, monkeypatch, capsys):
    convert(monkeypatch, capsys, "songs", "-o", "out")
    (folder.parent / "out" / "one.wav").unlink()
    before = (folder.parent / "out" / "two" / "one.wav").stat().st_mtime_ns
    _, out, _ = convert(monkeypatch, capsys, "songs", "-o", "out")
    assert "1 songs converted, 1 already there (add -f to convert them again), 1 failed" in out
    assert (folder.parent / "out" / "two" / "one.wav").stat().st_mtime_ns == before
    for option in ("-f", "--overwrite"):
        _, out, _ = convert(monkeypatch, capsys, option, "songs", "-o", "out")
        assert "2 songs converted, 0 already there, 1 failed" in out


def test_an_interrupted_overwrite_leaves_no_earlier_conversion(folder, monkeypatch, capsys):
    """What was not converted again is gone, so that the same command without -f goes on."""
    convert(monkeypatch, capsys, "songs", "-o", "out")
    before = (folder.parent / "out" / "two" / "one.wav").read_bytes()
    real = files.open_writer

    def stop(path, *others, **named):
        if path.parent.name == "two":
            raise KeyboardInterrupt
        return real(path, *others, **named)

    with monkeypatch.context() as patch:
        patch.setattr(files, "open_writer", stop)
        convert(monkeypatch, capsys, "-s", "1", "-f", "songs", "-o", "out")
    assert not (folder.parent / "out" / "two" / "one.wav").exists()
    _, out, _ = convert(monkeypatch, capsys, "-s", "1", "songs", "-o", "out")
    assert "1 songs converted, 1 already there" in out
    assert (folder.parent / "out" / "two" / "one.wav").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "is no folder"),
        (["songs", "-o", "songs/in"], "lies inside"),
        (["songs", "--separate"], "-r: cannot be combined with"),
        (["songs", "--save-f0-csv", "x.csv"], "-r: cannot be combined with"),
    ],
)
def test_errors(folder, monkeypatch, capsys, arguments, message):
    code, _, err = convert(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message in err


def test_two_files_with_one_target(folder):
    (folder / "one.flac").write_bytes(b"x")
    with pytest.raises(DataError, match=r"one\.wav: 2 songs would get this name"):
        list_jobs(folder, folder.parent / "out", ".wav")


def test_a_target_that_is_a_recording_is_refused(tmp_path):
    for name in ("songs/x.wav", "songs/songs/x.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="is one of the songs"):
        list_jobs(tmp_path / "songs", tmp_path, ".wav")


def test_jobs_of_many_files_are_listed_quickly(tmp_path, monkeypatch):
    """Linear in their number: twenty thousand take some seconds, comparing each with each took minutes."""
    names = [tmp_path / "in" / f"{number}.wav" for number in range(20_000)]
    monkeypatch.setattr("svc.inference.batch.find_audio", lambda _folder: iter(names))
    started = time.process_time()
    assert len(list_jobs(tmp_path / "in", tmp_path / "out", ".wav")) == 20_000
    assert time.process_time() - started < 10


def test_nothing_usable(world, monkeypatch, capsys):
    (world / "bad").mkdir()
    (world / "bad" / "a.wav").write_bytes(b"no")
    code, _, err = convert(monkeypatch, capsys, "bad")
    assert code == 2
    assert "none of 1 files" in err
