from corpus_trees import by_name, count, write_tree

from svc.data.corpora import pjs

HOME = "PJS_corpus_ver1.1"


def test_counts_without_the_background_noise(tmp_path):
    names = [f"pjs{n:03d}" for n in (1, 2, 100)]
    sounds = [f"{HOME}/{name}/{name}_{kind}.wav" for name in names for kind in ("song", "speech")]
    texts = {f"{HOME}/{name}/{name}{end}": "また、東寺のように" for name in names for end in (".txt", ".lab", ".mid")}
    write_tree(tmp_path, [*sounds, f"{HOME}/background_noise/background_20200530.wav"], texts)
    recordings = pjs.find(tmp_path)
    assert count(recordings) == (1, 6, {"song": 3, "speech": 3})
    names = by_name(recordings)
    assert (names["pjs001_song.wav"].group, names["pjs001_speech.wav"].group) == ("pjs/001", "pjs/speech/001")
    assert {(r.speaker, r.language, r.licence, r.text) for r in recordings} == {
        ("pjs", "ja", "CC BY-SA 4.0", "また、東寺のように")
    }
