from corpus_trees import count, write_tree

from svc.data.corpora import nus48e

SINGERS = ("ADIZ", "JLEE", "JTAN", "KENN", "MCUR", "MPOL", "MPUR", "NJAT", "PMAR", "SAMF", "VKOW", "ZHIY")


def songs(singer):
    first = SINGERS.index(singer)
    return [f"{(first + 5 * k) % 20 + 1:02d}" for k in range(4)]


def tree(root, home="nus-smc-corpus_48"):
    names = [f"{home}/{s}/{kind}/{song}" for s in SINGERS for kind in ("sing", "read") for song in songs(s)]
    texts = {f"{name}.txt": "0.0 0.1 sil\n" for name in names} | {f"{home}/README.txt": "", f"{home}/.DS_Store": ""}
    return write_tree(root, [f"{name}.wav" for name in names], texts)


def test_counts_of_the_exact_layout(tmp_path):
    recordings = nus48e.find(tree(tmp_path) / "nus-smc-corpus_48")
    numbers = {song for singer in SINGERS for song in songs(singer)}
    assert count(recordings) == (12, 2 * len(numbers), {"song": 48, "speech": 48})
    assert {(r.language, r.licence, r.text) for r in recordings} == {("en", "research only", None)}


def test_song_and_speech_are_of_one_speaker_in_groups_apart(tmp_path):
    write_tree(tmp_path, ["ADIZ/sing/01.wav", "ADIZ/read/01.wav", "JLEE/sing/01.wav", "__MACOSX/JTAN/sing/01.wav"])
    groups = {(r.speaker, r.kind): r.group for r in nus48e.find(tmp_path)}
    assert groups == {
        ("ADIZ", "song"): "nus48e/01",
        ("ADIZ", "speech"): "nus48e/speech/01",
        ("JLEE", "song"): "nus48e/01",
    }
