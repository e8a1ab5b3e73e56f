"""A folder of songs: one bad one stops nothing, it goes on where it stopped, and nobody's songs pass for another's."""

import json
from dataclasses import replace

import pytest
from test_cli import svc

from svc.audio import files
from svc.data.manifest import Singer
from svc.inference import speakers
from svc.inference.batch import MARK


@pytest.fixture
def album(world):
    (world / "album" / "two").mkdir(parents=True)
    (world / "album" / "one.wav").write_bytes((world / "song.wav").read_bytes())
    (world / "album" / "two" / "one.wav").write_bytes((world / "song.wav").read_bytes())
    (world / "album" / "broken.wav").write_bytes(b"RIFF of nothing")
    (world / "album" / "notes.txt").write_text("not a song")
    return world / "album"


def test_all_but_the_bad_ones(album, monkeypatch, capsys):
    code, out, err = svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", "album")
    assert code == 0
    assert "2 songs converted, 0 there already, 1 refused" in out
    assert "broken.wav" in err
    made = sorted(path.relative_to(album.parent) for path in album.parent.glob("album_Ann/**/*.wav"))
    assert [str(path) for path in made] == ["album_Ann/one.wav", "album_Ann/two/one.wav"]


def test_a_batch_goes_on(album, monkeypatch, capsys):
    svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", "album", "-o", "out")
    (album.parent / "out" / "one.wav").unlink()
    before = (album.parent / "out" / "two" / "one.wav").stat().st_mtime_ns
    _, out, _ = svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", "album", "-o", "out")
    assert "1 songs converted, 1 there already, 1 refused" in out
    assert (album.parent / "out" / "two" / "one.wav").stat().st_mtime_ns == before
    _, out, _ = svc(monkeypatch, capsys, "convert", "-r", "-f", "-s", "Ann", "album", "-o", "out")
    assert "2 songs converted, 0 there already, 1 refused" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "is no folder"),
        (["album", "-o", "album/in"], "lies inside"),
        (["album", "--separate"], "-r: goes with none of"),
        (["album", "--save-f0", "x.csv"], "-r: goes with none of"),
    ],
)
def test_what_cannot_be(album, monkeypatch, capsys, arguments, sentence):
    code, _, err = svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", *arguments)
    assert code == 2
    assert sentence in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-s", "1"], "its songs are of another speaker, Ann; choose"),
        (["-s", "Ann", "-t", "3"], "of another transpose, auto"),
        (["-s", "Ann", "--loudness", "-20"], "of another loudness, source"),
        (["-s", "Ann", "-v", "other.safetensors"], "of another voice; choose"),
    ],
)
def test_what_is_there_must_be_the_same(album, voice, monkeypatch, capsys, arguments, sentence):
    world = album.parent
    replace(voice, encoder="").save(world / "other.safetensors")
    (world / "few").mkdir()
    (world / "few" / "one.wav").write_bytes((world / "song.wav").read_bytes())
    svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", "few", "-o", "out", "-v", "runs/a/voice.safetensors")
    code, _, err = svc(monkeypatch, capsys, "convert", "-r", "few", "-o", "out", *arguments)
    assert (code, sentence in err) == (2, True), err
    code, out, _ = svc(monkeypatch, capsys, "convert", "-r", "few", "-o", "out", "-f", *arguments)
    assert "1 songs converted" in out


def test_here_is_a_folder_too(album, monkeypatch, capsys):
    monkeypatch.chdir(album)
    code, _, _ = svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", "-v", "../runs/a/voice.safetensors", ".")
    assert code == 0
    assert (album.parent / "album_Ann" / "one.wav").exists()


def test_names_that_would_meet(album, monkeypatch, capsys):
    (album / "one.flac").write_bytes(b"x")
    code, _, err = svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", "album")
    assert code == 2
    assert "two songs" in err


def test_nothing_usable(world, monkeypatch, capsys):
    (world / "bad").mkdir()
    (world / "bad" / "a.wav").write_bytes(b"no")
    code, _, err = svc(monkeypatch, capsys, "convert", "-r", "-s", "Ann", "bad")
    assert code == 2
    assert "none of 1 files" in err


def batch(monkeypatch, capsys, *arguments):
    return svc(monkeypatch, capsys, "convert", "-r", "few", "-o", "out", "-v", "runs/a/voice.safetensors", *arguments)


@pytest.fixture
def sung(world, monkeypatch, capsys):
    """Two songs by Ann."""
    (world / "few").mkdir()
    for name in ("one.wav", "two.wav"):
        (world / "few" / name).write_bytes((world / "song.wav").read_bytes())
    assert batch(monkeypatch, capsys, "-s", "Ann")[0] == 0
    return world / "out"


def test_songs_that_nobody_knows_are_not_taken_for_ones_own(sung, monkeypatch, capsys):
    for spoil in (sung.joinpath(MARK).unlink, lambda: sung.joinpath(MARK).write_text("[" * 9_000)):
        spoil()
        code, _, err = batch(monkeypatch, capsys, "-s", "Ann")
        assert (code, "its songs are of another speaker; choose" in err) == (2, True), err
    assert batch(monkeypatch, capsys, "-s", "Ann", "-f")[0] == 0
    assert json.loads((sung / MARK).read_text())["speaker"] == "Ann"


def test_all_anew_and_interrupted_leaves_no_song_of_the_one_before(sung, monkeypatch, capsys):
    before = (sung / "two.wav").read_bytes()
    real = files.writing

    def stopped(path, *others, **named):
        if path.name == "two.wav":
            raise KeyboardInterrupt
        return real(path, *others, **named)

    with monkeypatch.context() as patch:
        patch.setattr(files, "writing", stopped)
        batch(monkeypatch, capsys, "-s", "1", "-f")
    assert not (sung / "two.wav").exists()
    _, out, _ = batch(monkeypatch, capsys, "-s", "1")
    assert "1 songs converted, 1 there already" in out
    assert (sung / "two.wav").read_bytes() != before


def test_who_else_is_in_the_voice_is_all_the_same(sung, voice, monkeypatch, capsys):
    """But not who sings: with other weights it is another voice."""
    cat = Singer("Cat", 30.0, 300.0, 200.0, 500.0, -20.0)
    speakers.added(voice, cat, speakers.row_of(voice, 0)).save(sung.parent / "more.safetensors")
    _, out, _ = batch(monkeypatch, capsys, "-s", "Ann", "-v", "more.safetensors")
    assert "0 songs converted, 2 there already" in out
    other = speakers.added(speakers.removed(voice, "Ann"), replace(cat, name="Ann"), speakers.row_of(voice, 1))
    other.save(sung.parent / "other.safetensors")
    code, _, err = batch(monkeypatch, capsys, "-s", "Ann", "-v", "other.safetensors")
    assert (code, "its songs are of another voice; choose" in err) == (2, True)
