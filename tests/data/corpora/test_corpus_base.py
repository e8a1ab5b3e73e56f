import pytest
from corpus_trees import write_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.data.corpora import base
from svc.errors import DataError


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=99))
def test_a_speakers_name_is_fit_for_files(text):
    name = base.speaker_name(text)
    assert name == name.strip()
    assert name.isprintable()
    assert ".." not in name
    assert not set('/\\:*?"<>|') & set(name)
    assert len(name) <= 64
    assert name[:1] not in tuple(".-")
    assert base.speaker_name(name) == name


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xef\xbb\xbf a \r\n", "a"),
        ("櫃木".encode("cp932"), "櫃木"),
        ("櫃木".encode(), "櫃木"),
        (b"a\x81", "a�"),
        (b" \n", None),
        (b"", None),
    ],
)
def test_text_of_every_encoding(tmp_path, content, text):
    (tmp_path / "a.txt").write_bytes(content)
    assert base.read_text(tmp_path / "a.txt") == text


def test_text_that_is_absent_or_cannot_be_read(tmp_path):
    assert base.read_text(tmp_path / "a.txt") is None
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\); repair or remove it$"):
        base.read_text(tmp_path)


def test_a_table_has_any_number_of_fields(tmp_path):
    (tmp_path / "table").write_text('a|1|2\nb\n\nc|"x|')
    assert base.read_fields(tmp_path / "table") == {"a": ["1", "2"], "b": [], "c": ['"x', ""]}


@pytest.mark.parametrize(
    ("name", "is_audio"), [("a.wav", True), ("A.FLAC", True), ("._a.wav", False), ("a.txt", False)]
)
def test_audio_files_by_their_names(name, is_audio):
    assert base.is_audio(name) == is_audio


def test_what_is_in_a_folder_in_few_words(tmp_path):
    write_tree(tmp_path, [f"{name}/1.wav" for name in "abcdef"], {"x.txt": "", "a\nb/y.txt": ""})
    assert base.describe(tmp_path) == "7 folders (a, a b, b, c, …) and 1 files"
