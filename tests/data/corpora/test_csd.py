import pytest
from corpus_trees import by_name, count, write_tree

from svc.data.corpora import csd

NAMES = {"english": "en", "korean": "kr"}
NOTES = "start,end,pitch,syllable\n0.05,0.5,60,ba\n2.0,3.5,62,by\n"


def tree(root, notes=NOTES):
    names = [(lang, f"{short}{n:03d}{key}") for lang, short in NAMES.items() for n in (1, 2, 50) for key in "ab"]
    sounds = [f"CSD/{language}/wav/{name}.wav" for language, name in names]
    texts = {f"CSD/{language}/csv/{name}.csv": notes for language, name in names}
    texts |= {f"CSD/{language}/lyric/{name}.txt": "twinkle\ntwinkle\n" for language, name in names}
    texts |= {f"CSD/{language}/metadata.json": "{}" for language in NAMES}
    return write_tree(root, sounds, texts)


def test_counts_where_both_keys_of_a_song_are_one_group(tmp_path):
    recordings = csd.find(tree(tmp_path))
    assert count(recordings) == (1, 6, {"song": 12})
    names = by_name(recordings)
    assert names["en001a.wav"].group == names["en001b.wav"].group == "csd/en001"
    assert names["kr001a.wav"].group == "csd/kr001"
    assert {(r.language, r.licence) for r in recordings} == {("en", "CC BY-NC-SA 4.0"), ("ko", "CC BY-NC-SA 4.0")}


def test_start_and_end_of_the_notes_with_a_margin(tmp_path):
    recording = csd.find(tree(tmp_path))[0]
    assert (recording.start, recording.end) == (0.0, pytest.approx(3.6))
    assert recording.text == "twinkle twinkle"


@pytest.mark.parametrize(
    "notes", ["", "start,end,pitch,syllable\n", "onset,pitch\n1,60\n", "start,end\nx,1\n", "start\n1\n"]
)
def test_notes_out_of_order_leave_the_whole_file(tmp_path, notes):
    assert {(r.start, r.end) for r in csd.find(tree(tmp_path, notes))} == {(None, None)}
