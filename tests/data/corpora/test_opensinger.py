from corpus_trees import count, write_tree

from svc.data.corpora import opensinger

SOUNDS = (
    "ManRaw/0_光年之外/0_光年之外_0.wav",
    "ManRaw/0_光年之外/0_光年之外_1.wav",
    "ManRaw/27_Almost_lover_2/27_Almost_lover_2_10.wav",
    "WomanRaw/0_光年之外/0_光年之外_0.wav",
    "WomanRaw/47_小幸运/47_小幸运_3.wav",
    "WomanRaw/47/47_小幸运_4.wav",
)


def tree(root):
    others = {"ManRaw/.DS_Store": b"\0", "ManRaw/0_光年之外/.DS_Store": b"\0", "LICENSE": "", "README.md": ""}
    others |= {path.replace(".wav", ".lab"): "0 1 a" for path in SOUNDS}
    others |= {path.replace(".wav", ".txt"): "感受停在" for path in SOUNDS[:1]}
    return write_tree(root / "OpenSinger", SOUNDS, others).parent


def test_counts_where_men_and_women_have_the_same_numbers(tmp_path):
    recordings = opensinger.find(tree(tmp_path))
    assert count(recordings) == (4, 3, {"song": 6})
    assert {r.speaker for r in recordings} == {"Man_0", "Man_27", "Woman_0", "Woman_47"}
    assert {(r.language, r.licence) for r in recordings} == {("zh", "research only")}


def test_names_of_songs_with_underscores(tmp_path):
    groups = {r.path.name: r.group for r in opensinger.find(tree(tmp_path))}
    assert groups["27_Almost_lover_2_10.wav"] == "opensinger/Almost_lover_2"


def test_a_song_of_a_man_and_a_woman_is_one_group(tmp_path):
    groups = {(r.speaker, r.group) for r in opensinger.find(tree(tmp_path))}
    assert {("Man_0", "opensinger/光年之外"), ("Woman_0", "opensinger/光年之外")} <= groups
