from itertools import pairwise

import pytest
from corpus_trees import TREES, write_tree

from svc.data import corpora
from svc.errors import DataError


def test_every_corpus_has_a_tree():
    assert TREES.keys() == corpora.CORPORA.keys()
    assert all(corpus.name == name for name, corpus in corpora.CORPORA.items())


@pytest.mark.parametrize("name", TREES)
def test_the_layout_says_the_corpus(tmp_path, name):
    """Also in a folder around it."""
    TREES[name](tmp_path / "download")
    write_tree(tmp_path, [], {"download.zip": "", "__MACOSX/x.wav": "", ".DS_Store": ""})
    assert corpora.detect(tmp_path / "download") == name
    recordings = corpora.find(tmp_path / "download")
    assert recordings == corpora.find(tmp_path / "download", name)
    if name != "folder":
        assert recordings == corpora.find(tmp_path)
    assert recordings
    assert all(recording.path.is_file() for recording in recordings)
    assert all(recording.group.startswith(f"{name}/") for recording in recordings)


@pytest.mark.parametrize(("name", "other"), list(pairwise(TREES)))
def test_another_corpus_by_name_says_what_it_expected_and_saw(tmp_path, name, other):
    TREES[other](tmp_path)
    with pytest.raises(DataError) as error:
        corpora.find(tmp_path, name)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{tmp_path}: expected {corpora.CORPORA[name].example} ({name}), saw ")
    assert message.endswith("name the folder that holds it, or choose another corpus")


def test_several_corpora_are_not_mixed_up(tmp_path):
    write_tree(tmp_path, ["kumi/1.flac", "lj/LJ001-0001.flac", "vctk/p225/p225_001.flac"])
    with pytest.raises(DataError, match=r"holds several corpora \(lj is ljspeech\); name one of its folders at a time"):
        corpora.find(tmp_path)
    assert {r.speaker for r in corpora.find(tmp_path, "folder")} == {"kumi", "lj", "vctk"}


@pytest.mark.parametrize(
    ("path", "corpus", "message"),
    [
        ("absent", "vctk", "absent: no such folder; name one that holds a corpus"),
        ("a.wav", "utau", "a.wav: is a file; name the folder that holds it"),
        (
            "empty",
            None,
            "empty: expected <speaker>/<song>/<anything>.wav or <speaker>/<anything>.wav (folder), saw 0 files",
        ),
        (".", "vtck", "no corpus is called 'vtck'; choose one of nus48e, vocalset"),
    ],
)
def test_a_wrong_root_or_name_is_one_line(tmp_path, path, corpus, message):
    write_tree(tmp_path, ["a.wav"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as error:
        corpora.find(tmp_path / path, corpus)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
