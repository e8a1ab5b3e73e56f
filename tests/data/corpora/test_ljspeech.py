from corpus_trees import count, write_tree

from svc.data.corpora import ljspeech

TABLE = (
    'LJ001-0001|Printing, in 1 "sense|Printing, in one "sense\n'
    "LJ001-0002|in being comparatively modern.|\n"
    "LJ001-0003|only two fields\n"
    "LJ001-0004\n"
    "\n"
    "LJ999-0001|no such file|no such file\n"
)


def tree(root):
    sounds = [f"LJSpeech-1.1/wavs/LJ001-{n:04d}.wav" for n in range(1, 6)]
    return write_tree(root, sounds, {"LJSpeech-1.1/metadata.csv": TABLE, "LJSpeech-1.1/README": "LJ"})


def test_counts_and_lines_without_three_fields(tmp_path):
    recordings = ljspeech.find(tree(tmp_path))
    assert count(recordings) == (1, 5, {"speech": 5})
    assert [r.text for r in recordings] == [
        'Printing, in one "sense',
        "in being comparatively modern.",
        "only two fields",
        None,
        None,
    ]
    assert {(r.speaker, r.language, r.licence) for r in recordings} == {("ljspeech", "en", "public domain")}
