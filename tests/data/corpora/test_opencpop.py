from corpus_trees import by_name, count, write_tree

from svc.data.corpora import opencpop

SEGMENTS = [f"{song}{n:06d}" for song in (2001, 2002, 2044) for n in (1, 2)]


def tree(root, train=SEGMENTS[:4], test=SEGMENTS[4:]):
    def lines(names):
        return "".join(f"{name}|感受停在|g an sh ou|G4 G4|0.1|0.1|0 0\n" for name in names)

    home = "Opencpop/segments"
    texts = {f"{home}/transcriptions.txt": lines(SEGMENTS), f"{home}/train.txt": lines(train)}
    texts |= {f"{home}/test.txt": lines(test), "Opencpop/TERMS_OF_ACCESS": "", "Opencpop/midis/2001.midi": ""}
    sounds = [f"{home}/wavs/{name}.wav" for name in SEGMENTS]
    return write_tree(root, [*sounds, "Opencpop/wavs/2001.wav", "Opencpop/wavs/2002.wav"], texts)


def test_counts_of_the_segments_alone(tmp_path):
    recordings = opencpop.find(tree(tmp_path))
    assert count(recordings) == (1, 3, {"song": 6})
    assert {(r.speaker, r.text, r.language) for r in recordings} == {("opencpop", "感受停在", "zh")}
    assert {r.group for r in recordings} == {"opencpop/2001", "opencpop/2002", "opencpop/2044"}


def test_the_official_split(tmp_path):
    splits = {name[:4]: r.split for name, r in by_name(opencpop.find(tree(tmp_path))).items()}
    assert splits == {"2001": "train", "2002": "train", "2044": "test"}


def test_a_song_with_one_segment_in_the_test_is_in_the_test(tmp_path):
    tree(tmp_path, train=[SEGMENTS[0], *SEGMENTS[2:4]], test=[SEGMENTS[1]])
    recordings = opencpop.find(tmp_path)
    assert [r.split for r in recordings] == ["test", "test", "train", "train", None, None]
