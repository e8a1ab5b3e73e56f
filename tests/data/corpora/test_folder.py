import unicodedata

import pytest
from corpus_trees import count, write_tree

from svc.data.corpora import folder
from svc.data.sources import find_sources
from svc.errors import DataError


def groups(root):
    return {r.path.relative_to(root).as_posix(): r.group for r in folder.FOLDER.find(root)}


def test_files_of_speakers_are_groups_by_their_names(tmp_path):
    write_tree(tmp_path, ["Ann/one.wav", "Ann/deep.flac", "Bob/wavs/one.mp3", "loose.wav"], {"Ann/one.txt": "words"})
    recordings = folder.FOLDER.find(tmp_path)
    assert count(recordings) == (2, 2, {"song": 3})
    assert {r.group for r in recordings} == {"folder/one", "folder/deep"}
    assert {(r.language, r.licence) for r in recordings} == {("", "")}
    assert folder.is_split_by_file(recordings)


def test_folders_of_songs(tmp_path):
    write_tree(
        tmp_path, ["Ann/hymn/1.wav", "Ann/hymn/b/2.wav", "Bob/hymn/1.wav", "Bob/wavs/waltz/1.wav", "Bob/own.wav"]
    )
    recordings = folder.FOLDER.find(tmp_path)
    assert count(recordings) == (2, 3, {"song": 5})
    assert {r.group for r in recordings} == {"folder/hymn", "folder/waltz", "folder/own"}
    assert not folder.is_split_by_file(recordings)


def test_kind_is_speech_below_a_folder_of_speech(tmp_path):
    write_tree(tmp_path, ["Ann/Speech/1.wav", "Ann/song/1.wav", "Bob/read/tale/1.wav"])
    assert count(folder.FOLDER.find(tmp_path)) == (2, 3, {"song": 1, "speech": 2})
    assert groups(tmp_path)["Bob/read/tale/1.wav"] == "folder/speech/tale"


def test_decomposed_names_equal_composed_ones(tmp_path):
    write_tree(tmp_path, [unicodedata.normalize("NFD", "Zoë/Lärche/1.wav"), "Ann/Lärche/1.wav"])
    recordings = folder.FOLDER.find(tmp_path)
    assert {r.speaker for r in recordings} == {"Ann", "Zoë"}
    assert {r.group for r in recordings} == {"folder/Lärche"}


TAKES = ["Ann/hymn_1.wav", "Ann/hymn_2.wav", "Bob/old/hymn_1.wav", "Bob/speech/tale_1.wav", "Bob/noname.wav"]


def test_a_regex_names_the_song(tmp_path):
    write_tree(tmp_path, TAKES)
    sources = find_sources([tmp_path], group_regex=r"([^/]+)_\d+\.wav$")
    found = {one.path.relative_to(tmp_path).as_posix(): one.group for one in sources.recordings}
    expected = ["folder/hymn", "folder/hymn", "folder/hymn", "folder/speech/tale", "folder/noname"]
    assert found == dict(zip(TAKES, expected, strict=True))
    assert sources.notes == [r"--group-regex ([^/]+)_\d+\.wav$: finds no song in 1 of 5 files, as Bob/noname.wav"]


@pytest.mark.parametrize(
    ("regex", "message"),
    [
        ("(hymn", "is no regular expression (missing ), unterminated subpattern at position 0); correct it"),
        ("hymn", "has no group; put what names the song into parentheses"),
        ("(waltz)", "finds no song in Ann/hymn_1.wav, nor in any other file; correct it"),
        ("()", "finds no song in Ann/hymn_1.wav, nor in any other file; correct it"),
        ("((.+)+)+[?]", "takes too long on file names; repeat nothing that is repeated within"),
    ],
)
def test_a_wrong_regex_is_one_line(tmp_path, monkeypatch, regex, message):
    write_tree(tmp_path, [*TAKES, f"Bob/{'a' * 60}.wav"])
    monkeypatch.setattr(folder, "REGEX_SECONDS", 0.2)
    with pytest.raises(DataError) as error:
        find_sources([tmp_path], group_regex=regex)
    assert str(error.value) == f"--group-regex {regex}: {message}"


def test_a_regex_is_for_plain_folders(tmp_path):
    write_tree(tmp_path, ["lj/LJ001-0001.wav"])
    with pytest.raises(DataError, match=r"--group-regex: is for plain folders, and .*lj is ljspeech; prepare it apart"):
        find_sources([tmp_path / "lj"], group_regex="(1)")


def test_only_loose_files(tmp_path):
    write_tree(tmp_path, ["1.wav", "2.wav"])
    with pytest.raises(DataError, match=r"expected <speaker>.*saw 2 files, no folders"):
        folder.FOLDER.find(tmp_path)
