from corpus_trees import by_name, count, write_tree

from svc.data.corpora import vctk

AUDIO = "VCTK-Corpus-0.92/wav48_silence_trimmed"
TEXT = "VCTK-Corpus-0.92/txt"


def tree(root):
    sounds = [
        f"{AUDIO}/{s}/{s}_{n}_mic{m}.flac" for s in ("p225", "p226", "s5") for n in ("001", "030") for m in (1, 2)
    ]
    sounds += [
        f"{AUDIO}/p280/p280_001_mic1.flac",
        f"{AUDIO}/p315/p315_001_mic1.flac",
        f"{AUDIO}/p315/p315_030_mic1.flac",
    ]
    texts = {f"{TEXT}/{s}/{s}_001.txt": "Please call Stella.\n" for s in ("p225", "p226", "s5", "p280")}
    texts |= {f"{TEXT}/p225/p225_030.txt": "We had two.\n", f"{TEXT}/p226/p226_030.txt": "It was so.\n"}
    texts |= {f"{TEXT}/s5/s5_030.txt": "we had TWO!\n", f"{AUDIO}/log.txt": "log", f"{AUDIO}/../speaker-info.txt": "ID"}
    return write_tree(root, sounds, texts)


def test_counts_of_version_092_with_one_microphone(tmp_path):
    recordings = vctk.find(tree(tmp_path) / "VCTK-Corpus-0.92")
    assert count(recordings) == (5, 4, {"speech": 9})
    assert all(r.path.stem.endswith("_mic1") for r in recordings)
    assert {(r.language, r.licence) for r in recordings} == {("en", "CC BY 4.0")}


def test_the_sentence_is_the_group_whoever_reads_it(tmp_path):
    groups = {name[:8].rstrip("_"): r.group for name, r in by_name(vctk.find(tree(tmp_path))).items()}
    assert groups["p225_001"] == groups["p315_001"] == "vctk/001"
    assert groups["p225_030"] == groups["s5_030_m"[:8].rstrip("_")] != groups["p226_030"]
    assert groups["p315_030"] == "vctk/p315_030"


def test_the_second_microphone_where_the_first_is_absent(tmp_path):
    write_tree(
        tmp_path, ["wav48_silence_trimmed/p225/p225_001_mic2.flac", "wav48_silence_trimmed/p225/p225_002_mic1.flac"]
    )
    assert [r.path.stem for r in vctk.find(tmp_path)] == ["p225_001_mic2", "p225_002_mic1"]


def test_counts_of_version_080(tmp_path):
    sounds = [f"VCTK-Corpus/wav48/{s}/{s}_{n:03d}.wav" for s in ("p225", "p362") for n in (1, 2, 4)]
    write_tree(tmp_path, sounds, {"VCTK-Corpus/txt/p225/p225_001.txt": "Please call Stella."})
    recordings = vctk.find(tmp_path)
    assert count(recordings) == (2, 3, {"speech": 6})
    assert [r.text for r in recordings if r.text] == ["Please call Stella."]
