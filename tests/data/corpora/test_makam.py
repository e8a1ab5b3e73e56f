import pytest
from corpus_trees import count, write_tree

from svc.data.corpora import makam

SONGS = {
    "barbaros/02_Gel_2_zemin.wav": "gel",
    "barbaros/02_Gel_9_nakarat2beforeGazel.wav": "gel",
    "barbaros/02_Gel_10_nakarat2_beforeGazel.wav": "gel",
    "barbaros/02_Gel_Part2_nakarat1.wav": "gel",
    "barbaros/18_Munir_Nurettin_Selcuk_-_Gel_Guzelim_Camlicaya_7_nakarat_2_from_173_571740_to_184_591291.wav": "gel",
    "goekhan/02_Hicran_Part1_T1.wav": "hicran",
    "goekhan/02_Kimseye_2_zemin.wav": "kimseye",
    "guelcin/bu_aksam_part1_zemin.wav": "bu_aksam",
    "guelen/01_Aksam_0_zemin.wav": "aksam",
    "idil/05_Semahat_Ozdenses_-_Bir_Ihtimal_Daha_Var_12_nakarat_from_184_6451_to_199_35.wav": "bir_ihtimal_daha_var",
    "idil/Melihat_Gulses_2_zemin_from_47_355984_to_68_789494.wav": "kimseye",
    "idil/Sakin--Gec--Kalma_10_meyan_2_from_103_203062_to_112_125237.wav": "bu_aksam",
    "safiye/01_Aksam_7_nakarat3.wav": "aksam",
}
WHOLE = ("goekhan/02_Kimseye.wav", "idil/Melihat_Gulses.wav")


def tree(root):
    others = {path.replace(".wav", end): "" for path in SONGS for end in (".TextGrid", ".mfc")}
    return write_tree(root, [*SONGS, *WHOLE], others | {"README.md": "", "barbaros/lyrics.txt": ""})


def test_counts_without_whole_songs(tmp_path):
    recordings = makam.find(tree(tmp_path))
    assert count(recordings) == (6, 6, {"song": len(SONGS)})
    assert {(r.language, r.licence) for r in recordings} == {("tr", "CC BY 4.0")}


@pytest.mark.parametrize("path", SONGS)
def test_the_song_of_every_way_of_naming(tmp_path, path):
    write_tree(tmp_path, [path])
    assert [r.group for r in makam.find(tmp_path)] == [f"makam/{SONGS[path]}"]
