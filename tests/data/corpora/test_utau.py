import pytest
from corpus_trees import by_name, count, write_tree

from svc.data.corpora import utau

CHARACTER = "name=櫃木クミ\r\nimage=image.bmp\r\n"
OTO = "_ああいあ.wav=- あ,1,2,3,4,5\n_ああいあ.wav=a あ,1,2,3,4,5\nか.wav=か,1,2,3,4,5\n"


def bank(root, encoding="cp932"):
    sounds = [f"{pitch}/{name}.wav" for pitch in ("A3", "D5") for name in ("_ああいあ", "か")]
    texts = {"character.txt": CHARACTER.encode(encoding), "readme.txt": "terms", "prefix.map": ""}
    texts |= {f"{pitch}/oto.ini": OTO.encode(encoding) for pitch in ("A3", "D5")}
    return write_tree(root, [*sounds, "かA4.wav"], texts | {"A3/か_wav.frq": b"\0"})


@pytest.mark.parametrize("encoding", ["cp932", "utf-8"])
def test_counts_of_a_bank_with_pitch_folders(tmp_path, encoding):
    recordings = utau.find(bank(tmp_path / "bank", encoding))
    assert count(recordings) == (1, 2, {"song": 5})
    assert {(r.speaker, r.language, r.licence) for r in recordings} == {("櫃木クミ", "ja", "unknown")}
    assert {r.group for r in recordings} == {"utau/ああいあ", "utau/か"}


def test_banks_beside_each_other_are_speakers(tmp_path):
    bank(tmp_path / "one")
    write_tree(tmp_path / "Yuki", ["_いいおあえ.wav"], {"oto.ini": OTO})
    write_tree(tmp_path / "bare" / "three", ["a.wav"], {"character.yaml": ""})
    assert {r.speaker for r in utau.find(tmp_path)} == {"櫃木クミ", "Yuki"}


def test_pitch_folders_without_a_character(tmp_path):
    write_tree(tmp_path / "bank", ["A3/か.wav", "C#4/か.wav"], {"A3/oto.ini": OTO, "C#4/oto.ini": OTO})
    assert count(utau.find(tmp_path / "bank")) == (1, 1, {"song": 2})
    assert {r.speaker for r in utau.find(tmp_path / "bank")} == {"bank"}


def test_a_folder_of_audio_alone(tmp_path):
    write_tree(tmp_path / "kumi", ["Core_A3_0004.flac", "Core_0003.flac"])
    recordings = by_name(utau.find(tmp_path / "kumi"))
    assert {r.speaker for r in recordings.values()} == {"kumi"}
    assert recordings["Core_A3_0004.flac"].group == "utau/Core_A3_0004"


@pytest.mark.parametrize("name", ["a/b: c", " .x.", 'q"?*', "今川\u3000有希", "x..y", 80 * "k"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    write_tree(tmp_path, ["a.wav"], {"character.txt": f"name={name}"})
    speaker = utau.find(tmp_path)[0].speaker
    assert speaker
    assert not set('/\\:*?"<>|') & set(speaker)
    assert speaker[0] not in ".- "
    assert speaker.isprintable()
    assert ".." not in speaker
    assert len(speaker) <= 64
