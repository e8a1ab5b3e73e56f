"""Which recordings an evaluation finds, and who is to sing which."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.errors import DataError
from svc.evaluate import cases
from svc.evaluate.cases import Song


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


class TestSongs:
    def test_singers_and_nobody(self, tmp_path):
        touch(tmp_path, "Ann/a/one.v2.wav", "Ann/two.flac", "loose.mp3", "Ann/notes.txt", ".hidden/x.wav")
        found = {song.key: song.singer for song in cases.songs(tmp_path)}
        assert found == {"Ann/a/one.v2": "Ann", "Ann/two": "Ann", "loose": ""}

    def test_two_of_one_name(self, tmp_path):
        touch(tmp_path, "Ann/a.wav", "Ann/a.flac")
        with pytest.raises(DataError, match=r"a\.wav: a\.flac beside it has the same name"):
            cases.songs(tmp_path)

    def test_nothing(self, tmp_path):
        with pytest.raises(DataError, match="no recordings"):
            cases.songs(tmp_path)
        with pytest.raises(DataError, match="no such folder; name another with --sources"):
            cases.songs(tmp_path / "none")
        with pytest.raises(DataError, match="no folders of singers"):
            cases.singers(touch(tmp_path, "a.wav"), "--references")


def test_takes_parallel_first(tmp_path):
    touch(tmp_path, "Bob/a/one.aaa.wav", "Bob/a/one.wav", "Bob/a/one2.wav", "Eve/a/one.wav")
    song = Song(Path("x"), "Ann", "a/one")
    assert [take.name for take in cases.takes(tmp_path, "Bob", song)] == ["one.wav", "one.aaa.wav"]
    assert cases.takes(tmp_path, "Nobody", song) == []


@given(
    singers=st.integers(1, 9),
    count=st.integers(1, 12),
    songs=st.lists(st.integers(0, 9), min_size=1, max_size=12),
)
def test_plan(singers, count, songs):
    names = [f"s{number}" for number in range(singers)]
    found = [Song(Path("p"), f"s{own}", f"{place}") for place, own in enumerate(songs)]
    planned = cases.plan(found, names, count, Path("out"))
    for song in found:
        targets = [case.target for case in planned if case.song is song]
        own = song.singer in names
        assert len(set(targets)) == len(targets) == own + min(count, singers - own)
        assert own == (song.singer in targets)
    assert len({case.output for case in planned}) == len(planned)


def test_others_take_turns():
    found = [Song(Path("p"), "", f"{place}") for place in range(12)]
    planned = cases.plan(found, ["a", "b", "c", "d"], 1, Path("out"))
    assert [sum(case.target == name for case in planned) for name in "abcd"] == [3, 3, 3, 3]


class TestReady:
    songs = (Song(Path("x"), "Ann", "a/one"), Song(Path("y"), "", "two"))

    def test_by_path(self, tmp_path):
        touch(tmp_path, "Bob/Ann/a/one.mp3", "Eve/two.wav", "Eve/three.wav")
        planned, strangers = cases.ready(self.songs, tmp_path)
        assert [(case.song.key, case.target) for case in planned] == [("Ann/a/one", "Bob"), ("two", "Eve")]
        assert len(strangers) == 1
        assert "three.wav: no source three" in strangers[0]

    def test_none(self, tmp_path):
        with pytest.raises(DataError, match="no conversion of any source"):
            cases.ready(self.songs, touch(tmp_path, "Bob/other.wav"))
