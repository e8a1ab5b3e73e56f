from corpus_trees import by_name, count, write_tree

from svc.data.corpora import vocalset

FILES = (
    "female1/arpeggios/straight/f1_arpeggios_straight_a.wav",
    "female1/arpeggios/vocal_fry/f1_arpeggios_vocal_fry_a.wav",
    "female1/scales/lip_trill/f1_scales_lip_trill_a.wav",
    "female1/excerpts/vibrato/f1_caro_vibrato.wav",
    "female1/excerpts/spoken/f1_row_spoken.wav",
    "female1/excerpts/straight/f1_row_straight.wav",
    "female2/arpeggios/vibrato/f2_arpeggios_f_slow_forte_e.wav",
    "female2/long_tones/inhaled/f2_long_inhaled_a.wav",
    "male11/arpeggios/straight/m1_arpeggios_belt_o.wav",
    "male11/excerpts/straight/m11_dona_straight.wav",
    "male8/excerpts/straight/m9_row_straight.wav",
)
EXCLUDED_FILES = 4


def tree(root, home="FULL"):
    extra = {"train_singers_technique.txt": "female1", "DataSetVocalises.pdf": "", f"{home}/.DS_Store": ""}
    return write_tree(root, [f"{home}/{path}" for path in FILES], extra)


def test_counts_without_the_techniques_excluded_by_default(tmp_path):
    recordings = vocalset.find(tree(tmp_path))
    assert count(recordings) == (4, 5, {"song": len(FILES) - EXCLUDED_FILES})
    assert {r.licence for r in recordings} == {"CC BY 4.0"}


def test_all_techniques(tmp_path):
    recordings = vocalset.find(tree(tmp_path), exclude=())
    assert count(recordings) == (4, 9, {"song": len(FILES) - 1, "speech": 1})
    assert by_name(recordings)["f1_row_spoken.wav"].group == "vocalset/speech/excerpts/row"


def test_a_song_of_several_singers_is_one_group(tmp_path):
    recordings = by_name(vocalset.find(tree(tmp_path)))
    assert recordings["f1_row_straight.wav"].group == recordings["m9_row_straight.wav"].group == "vocalset/excerpts/row"
    assert [recordings[f"{n}.wav"].language for n in ("m9_row_straight", "f1_caro_vibrato", "m11_dona_straight")] == [
        "en",
        "it",
        "la",
    ]


def test_version_12_holds_every_file_three_times(tmp_path):
    tree(tmp_path / "VocalSet1-2", home="data_by_singer")
    write_tree(tmp_path / "VocalSet1-2", ["data_by_technique/straight/f1_row_straight.wav", "data_by_vowel/a/x.wav"])
    assert len(vocalset.find(tmp_path)) == len(FILES) - EXCLUDED_FILES
