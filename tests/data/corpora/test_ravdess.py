from itertools import product

import pytest
from corpus_trees import count, write_tree

from svc.data.corpora import ravdess

ACTORS = ("01", "02", "13")
SONGS = ["-".join(("03", "02", *rest)) for rest in product(("01", "02", "05"), ("01",), ("01", "02"), ("01", "02"))]
SPEECH = ["-".join(("03", "01", *rest)) for rest in product(("01", "08"), ("01",), ("01", "02"), ("01", "02"))]

LAYOUTS = {
    "by kind": ("actor{a}/song/{n}-{a}.flac", "actor{a}/speech/{n}-{a}.flac"),
    "zenodo": ("Audio_Song_Actors_01-24/Actor_{a}/{n}-{a}.wav", "Audio_Speech_Actors_01-24/Actor_{a}/{n}-{a}.wav"),
    "flat": ("RAVDESS/Actor_{a}/{n}-{a}.wav", "RAVDESS/Actor_{a}/{n}-{a}.wav"),
}


def tree(root, song, speech):
    sounds = [song.format(a=actor, n=name) for actor in ACTORS for name in SONGS]
    return write_tree(root, sounds + [speech.format(a=actor, n=name) for actor in ACTORS for name in SPEECH])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_counts_of_every_layout(tmp_path, layout):
    recordings = ravdess.find(tree(tmp_path, *LAYOUTS[layout]))
    assert count(recordings) == (3, 6 + 4, {"song": 3 * 12, "speech": 3 * 8})
    assert {r.speaker for r in recordings} == {"actor01", "actor02", "actor13"}
    assert {r.licence for r in recordings} == {"CC BY-NC-SA 4.0"}


def test_takes_intensities_and_actors_share_a_group_and_speech_does_not(tmp_path):
    names = ["03-02-03-01-01-01-01", "03-02-03-01-01-02-01", "03-02-03-02-01-01-01", "03-02-03-01-01-01-02"]
    names += ["03-02-03-01-02-01-01", "03-01-03-01-01-01-01"]
    write_tree(tmp_path, [f"Actor_{name[-2:]}/{name}.wav" for name in names])
    groups = {r.path.stem: r.group for r in ravdess.find(tmp_path)}
    assert [groups[name] for name in names] == [*4 * ["ravdess/03-01"], "ravdess/03-02", "ravdess/speech/03-01"]


def test_films_and_other_names_are_left_out(tmp_path):
    write_tree(tmp_path, ["Actor_01/03-02-01-01-01-01-01.wav", "Actor_01/01-02-01-01-01-01-01.mp4", "Actor_01/a.wav"])
    assert [r.text for r in ravdess.find(tmp_path)] == ["Kids are talking by the door"]
