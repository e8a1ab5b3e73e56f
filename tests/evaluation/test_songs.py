"""Which recordings an evaluation finds, and which songs are converted to which targets."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc.errors import DataError
from svc.evaluation import songs as layout
from svc.evaluation.songs import Song


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


class TestSongs:
    def test_speakers_and_unknown_speakers(self, tmp_path):
        touch(tmp_path, "Ann/a/one.v2.wav", "Ann/two.flac", "loose.mp3", "Ann/notes.txt", ".hidden/x.wav", ".h.wav")
        result = {song.id: song.speaker for song in layout.find_songs(tmp_path)}
        assert result == {"Ann/a/one.v2": "Ann", "Ann/two": "Ann", "loose": ""}

    def test_names_can_be_displayed(self, tmp_path):
        """A terminal's command, two lines, and bytes that are no UTF-8."""
        touch(tmp_path, "Ann/a\x1b[31m.wav", "line\nbreak/one.wav", "latin\udce9.wav")
        assert {song.id for song in layout.find_songs(tmp_path)} == {"Ann/a [31m", "line break/one", "latin "}

    def test_two_of_one_name(self, tmp_path):
        touch(tmp_path, "Ann/a.wav", "Ann/a.flac")
        with pytest.raises(DataError, match=r"a\.wav: a\.flac beside it has the same name"):
            layout.find_songs(tmp_path)

    def test_nothing(self, tmp_path):
        with pytest.raises(DataError, match="no recordings"):
            layout.find_songs(tmp_path)
        for folder in (tmp_path / "none", tmp_path / ("x" * 300)):
            with pytest.raises(DataError, match="choose another with --sources"):
                layout.find_songs(folder)
        with pytest.raises(DataError, match="no folders of speakers"):
            layout.find_recordings(touch(tmp_path, "a.wav"), "--enrolment")


def test_parallel_take_first(tmp_path):
    touch(tmp_path, "Bob/a/one.aaa.wav", "Bob/a/one.wav", "Bob/a/one2.wav", "Eve/a/one.wav")
    touch(tmp_path, "Bob/a/one.txt", "Bob/a/one.lab", "Bob/a/one.other.TXT", "Bob/a/one.b/one.wav")
    song = Song(Path("x"), "Ann", "a/one")
    assert [take.name for take in layout.find_parallel_takes(tmp_path, "Bob", song)] == ["one.wav", "one.aaa.wav"]
    assert layout.find_parallel_takes(tmp_path, "Nobody", song) == []


@given(
    speakers=st.integers(1, 9),
    count=st.integers(1, 12),
    songs=st.lists(st.integers(0, 9), min_size=1, max_size=12),
)
def test_plan(speakers, count, songs):
    names = [f"s{number}" for number in range(speakers)]
    result = [Song(Path("p"), f"s{own}", f"{place}") for place, own in enumerate(songs)]
    pairs = layout.plan_conversions(result, names, count, Path("out"))
    for song in result:
        targets = [pair.target for pair in pairs if pair.song is song]
        own = song.speaker in names
        assert len(set(targets)) == len(targets) == own + min(count, speakers - own)
        assert own == (song.speaker in targets)
    assert len({pair.output for pair in pairs}) == len(pairs)


class TestExistingConversions:
    songs = (Song(Path("x"), "Ann", "a/one"), Song(Path("y"), "", "two"))

    def test_by_path(self, tmp_path):
        touch(tmp_path, "Bob/Ann/a/one.mp3", "Eve/two.wav", "Eve/three.wav")
        skipped: list[str] = []
        pairs = layout.match_existing_conversions(self.songs, tmp_path, (), skipped)
        assert [(pair.song.id, pair.target) for pair in pairs] == [("Ann/a/one", "Bob"), ("two", "Eve")]
        assert skipped == [f"{tmp_path / 'Eve' / 'three.wav'}: no source three"]

    def test_duplicates_count_once(self, tmp_path):
        touch(tmp_path, "Bob/Ann/a/one.wav", "Bob/Ann/a/one.flac", "Bob/two.wav", "Eve/two.wav")
        skipped: list[str] = []
        pairs = layout.match_existing_conversions(self.songs, tmp_path, (), skipped)
        assert [pair.output.relative_to(tmp_path).as_posix() for pair in pairs] == [
            "Bob/two.wav",
            "Bob/Ann/a/one.flac",
            "Eve/two.wav",
        ]
        duplicate = tmp_path / "Bob" / "Ann" / "a" / "one.wav"
        assert skipped == [f"{duplicate}: one.flac beside it has the same name; rename one of them"]

    def test_none(self, tmp_path):
        with pytest.raises(DataError, match="no conversion of any source"):
            layout.match_existing_conversions(self.songs, touch(tmp_path, "Bob/other.wav"), (), [])
        with pytest.raises(DataError, match="no conversions to Kim; choose another --speaker: Bob, Eve"):
            layout.match_existing_conversions(self.songs, touch(tmp_path, "Bob/two.wav", "Eve/two.wav"), ["Kim"], [])


def test_decomposed_names_are_those_of_composed_ones(tmp_path):
    """A Mac's names (NFD), beside those of another system."""
    bjork, song = "Björk", "Jóga"
    decomposed = [unicodedata.normalize("NFD", name) for name in (bjork, song)]
    place, name = decomposed
    assert place != bjork
    touch(tmp_path / "songs", f"{place}/{name}.wav")
    touch(tmp_path / "takes", f"{bjork}/{song}.wav", f"{bjork}/{name}.2.wav")
    touch(tmp_path / "converted", f"{place}/{place}/{name}.wav")
    (result,) = layout.find_songs(tmp_path / "songs")
    assert (result.id, result.speaker) == (f"{bjork}/{song}", bjork)
    assert list(layout.find_recordings(tmp_path / "songs", "--enrolment")) == [bjork]
    takes = layout.find_parallel_takes(tmp_path / "takes", bjork, result)
    assert [path.name for path in takes] == [f"{song}.wav", f"{name}.2.wav"]
    (pair,) = layout.match_existing_conversions([result], tmp_path / "converted", [bjork], [])
    assert (pair.song, pair.target) == (result, bjork)
    assert layout.find_parallel_takes(tmp_path / "songs", bjork, result) == [result.path]
