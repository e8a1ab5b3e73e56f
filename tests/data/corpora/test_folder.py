import unicodedata

import pytest
from corpus_trees import count, write_tree

from svc.data.corpora import folder
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


def test_only_loose_files(tmp_path):
    write_tree(tmp_path, ["1.wav", "2.wav"])
    with pytest.raises(DataError, match=r"expected <speaker>.*saw 2 files, no folders"):
        folder.FOLDER.find(tmp_path)
