import pytest
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
