from corpus_trees import by_name, count, write_tree

from svc.data.corpora import librispeech

NAMES = ("103-1240-0000", "103-1240-0001", "103-1241-0000", "26-495-0000")
TEXTS = {"103/1240/103-1240.trans.txt": "103-1240-0000 CHAPTER ONE\n103-1240-0001 MISSUS RACHEL\n103-1240-0002 GONE\n"}


def place(name):
    speaker, chapter, _ = name.split("-")
    return f"{speaker}/{chapter}/{name}.flac"


def test_counts_and_texts(tmp_path):
    home = "LibriSpeech/train-clean-100/"
    texts = {home + path: text for path, text in TEXTS.items()} | {"LibriSpeech/SPEAKERS.TXT": ";ID"}
    write_tree(tmp_path, [home + place(name) for name in NAMES] + ["LibriSpeech/dev-clean/84/1/84-1-0000.flac"], texts)
    recordings = librispeech.find(tmp_path)
    assert count(recordings) == (3, 5, {"speech": 5})
    assert {r.speaker for r in recordings} == {"librispeech-103", "librispeech-26", "librispeech-84"}
    assert by_name(recordings)["103-1240-0001.flac"].text == "MISSUS RACHEL"
    assert by_name(recordings)["26-495-0000.flac"].text is None


def test_a_subset_and_a_folder_without_chapters(tmp_path):
    write_tree(tmp_path / "subset", [place(name) for name in NAMES], TEXTS)
    write_tree(tmp_path / "flat", [f"{name.split('-')[0]}/{name}.flac" for name in NAMES])
    assert count(librispeech.find(tmp_path / "subset")) == (2, 4, {"speech": 4})
    assert count(librispeech.find(tmp_path / "flat")) == (2, 4, {"speech": 4})
