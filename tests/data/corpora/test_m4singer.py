import json
import unicodedata

import pytest
from corpus_trees import count, write_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.data.corpora import m4singer
from svc.errors import DataError

ITEMS = [
    {"item_name": "Alto-1#美错#0000", "txt": "你曾经说"},
    {"item_name": "Alto-1#美错#0001", "txt": "你不爱"},
    {"item_name": "Tenor-7#美错#0000", "txt": "你曾经说"},
    {"item_name": "Bass-2#Hey Jude#0000", "txt": "hey"},
    {"item_name": "Bass-2#Hey Jude#0001"},
]


def escape(name):
    """As ParallelWaveGAN's recipe maps names to those of an unzip without Unicode."""
    return name.encode("unicode_escape").decode().replace("\\u", "#U")


def tree(root, rename=lambda name: name):
    names = [item["item_name"].rpartition("#")[::2] for item in ITEMS]
    sounds = [f"m4singer/{rename(folder)}/{number}.wav" for folder, number in names]
    others = {path.replace(".wav", end): "" for path in sounds for end in (".TextGrid", ".mid")}
    return write_tree(root, sounds, others | {"m4singer/meta.json": json.dumps(ITEMS)})


@pytest.mark.parametrize("rename", [str, escape, lambda name: name.replace(" ", "-")], ids=["plain", "#U", "dash"])
def test_counts_groups_and_texts_of_all_spellings(tmp_path, rename):
    recordings = m4singer.find(tree(tmp_path, rename))
    assert count(recordings) == (3, 2, {"song": 5})
    assert {r.group for r in recordings} == {"m4singer/美错", "m4singer/Hey-Jude"}
    assert sorted(r.text or "" for r in recordings) == ["", "hey", "你不爱", "你曾经说", "你曾经说"]
    assert {r.speaker for r in recordings} == {"Alto-1", "Tenor-7", "Bass-2"}


titles = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"], exclude_characters="#/\\"), min_size=1
)


@settings(max_examples=50, deadline=None)
@given(titles)
def test_escapes_of_any_title_give_its_group(title):
    escapes = "".join(f"#U{ord(c):04x}" if ord(c) > 126 else c for c in title)
    assert m4singer._song(escapes) == unicodedata.normalize("NFC", title).replace(" ", "-")


@pytest.mark.parametrize("text", ["[", "{}}", '["a"]', '[{"name": 1}]', '[{"item_name": 1, "txt": "a"}]', "3"])
def test_a_damaged_list_of_items_is_one_line(tmp_path, text):
    (tree(tmp_path) / "m4singer/meta.json").write_text(text)
    with pytest.raises(DataError, match=r"^[^\n]*meta.json: is not M4Singer's list[^\n]*unpack it again or remove it$"):
        m4singer.find(tmp_path)
