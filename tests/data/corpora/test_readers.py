"""Readers of corpora: numbers and labels of each exact layout, and the traps of each."""

import unicodedata

import pytest
from corpus_trees import (
    M4SINGER_ITEMS,
    MAKAM_SONGS,
    OPENCPOP_SEGMENTS,
    RAVDESS_LAYOUTS,
    TREES,
    UTAU_ALIASES,
    by_name,
    count,
    write_tree,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.data.corpora import CORPORA, detect, mandarin
from svc.errors import DataError

EXPECTED = {  # speakers, groups, recordings by kind; languages; licence
    "csd": (1, 6, {"song": 12}, {"en", "ko"}, "CC BY-NC-SA 4.0"),
    "librispeech": (2, 4, {"speech": 4}, {"en"}, "CC BY 4.0"),
    "ljspeech": (1, 5, {"speech": 5}, {"en"}, "public domain"),
    "m4singer": (3, 2, {"song": 5}, {"zh"}, "research only"),
    "makam": (6, 6, {"song": len(MAKAM_SONGS)}, {"tr"}, "CC BY 4.0"),
    "nus48e": (12, 40, {"song": 48, "speech": 48}, {"en"}, "research only"),
    "opencpop": (1, 3, {"song": 6}, {"zh"}, "research only"),
    "opensinger": (4, 3, {"song": 6}, {"zh"}, "research only"),
    "pjs": (1, 6, {"song": 3, "speech": 3}, {"ja"}, "CC BY-SA 4.0"),
    "ravdess": (3, 10, {"song": 36, "speech": 24}, {"en"}, "CC BY-NC-SA 4.0"),
    "utau": (1, 2, {"song": 5}, {"ja"}, ""),
    "vctk": (5, 4, {"speech": 9}, {"en"}, "CC BY 4.0"),
    "vocalset": (4, 5, {"song": 7}, {"zxx", "en", "it", "la"}, "CC BY 4.0"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_numbers_and_labels(name, tmp_path):
    recordings = CORPORA[name].find(TREES[name](tmp_path))
    *numbers, languages, licence = EXPECTED[name]
    assert count(recordings) == tuple(numbers)
    assert {r.language for r in recordings} == languages
    assert {r.licence for r in recordings} == {licence}


def test_csd(tmp_path):
    recordings = CORPORA["csd"].find(TREES["csd"](tmp_path))
    names = by_name(recordings)
    assert names["en001a.wav"].group == names["en001b.wav"].group == "csd/en001"  # both keys
    assert (recordings[0].start, recordings[0].end) == (0.0, pytest.approx(3.6))  # of the notes, with a margin
    assert recordings[0].text == "twinkle twinkle"


@pytest.mark.parametrize(
    "notes", ["", "start,end,pitch,syllable\n", "onset,pitch\n1,60\n", "start,end\nx,1\n", "start\n1\n"]
)
def test_csd_notes_out_of_order_leave_the_whole_file(tmp_path, notes):
    assert {(r.start, r.end) for r in CORPORA["csd"].find(TREES["csd"](tmp_path, notes))} == {(None, None)}


def test_librispeech(tmp_path):
    recordings = CORPORA["librispeech"].find(TREES["librispeech"](tmp_path / "subset", ""))
    assert {r.speaker for r in recordings} == {"librispeech-103", "librispeech-26"}
    assert by_name(recordings)["103-1240-0001.flac"].text == "MISSUS RACHEL"
    assert by_name(recordings)["26-495-0000.flac"].text is None
    flat = write_tree(tmp_path / "flat", [f"{r.path.name.split('-')[0]}/{r.path.name}" for r in recordings])
    assert count(CORPORA["librispeech"].find(flat)) == (2, 4, {"speech": 4})


def test_texts_of_ljspeech_and_pjs(tmp_path):
    texts = [r.text for r in CORPORA["ljspeech"].find(TREES["ljspeech"](tmp_path / "lj"))]
    assert texts == ['Printing, in one "sense', "in being comparatively modern.", "only two fields", None, None]
    recordings = by_name(CORPORA["pjs"].find(TREES["pjs"](tmp_path / "pjs")))
    assert {r.text for r in recordings.values()} == {"また、東寺のように"}
    assert recordings["pjs001_song.wav"].group == "pjs/001"
    assert recordings["pjs001_speech.wav"].group == "pjs/speech/001"


def escape(name):
    """As ParallelWaveGAN's recipe maps names to those of an unzip without Unicode."""
    return name.encode("unicode_escape").decode().replace("\\u", "#U")


@pytest.mark.parametrize("rename", [str, escape, lambda name: name.replace(" ", "-")], ids=["plain", "#U", "dash"])
def test_m4singer_in_all_spellings(tmp_path, rename):
    recordings = CORPORA["m4singer"].find(TREES["m4singer"](tmp_path, rename))
    assert {r.group for r in recordings} == {"m4singer/美错", "m4singer/Hey-Jude"}
    assert sorted(r.text or "" for r in recordings) == sorted(item.get("txt", "") for item in M4SINGER_ITEMS)
    assert {r.speaker for r in recordings} == {"Alto-1", "Tenor-7", "Bass-2"}


titles = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"], exclude_characters="#/\\"), min_size=1
)


@settings(max_examples=50, deadline=None)
@given(titles)
def test_m4singer_escapes_of_any_title_give_its_group(title):
    escapes = "".join(f"#U{ord(c):04x}" if ord(c) > 126 else c for c in title)
    assert mandarin._m4singer_song(escapes) == unicodedata.normalize("NFC", title).replace(" ", "-")


@pytest.mark.parametrize("text", ["[", '["a"]', '[{"item_name": 1, "txt": "a"}]', "3"])
def test_m4singer_with_a_damaged_list_of_items_is_one_line(tmp_path, text):
    (TREES["m4singer"](tmp_path) / "m4singer/meta.json").write_text(text)
    with pytest.raises(DataError, match=r"^[^\n]*meta.json: is not M4Singer's list[^\n]*unpack it again or remove it$"):
        CORPORA["m4singer"].find(tmp_path)


def test_makam_names_songs_in_every_way(tmp_path):
    for path, song in MAKAM_SONGS.items():
        root = tmp_path / path.replace("/", " ")
        assert [r.group for r in CORPORA["makam"].find(write_tree(root, [path]))] == [f"makam/{song}"]


def test_nus48e_song_and_speech_of_one_speaker_are_groups_apart(tmp_path):
    write_tree(tmp_path, ["ADIZ/sing/01.wav", "ADIZ/read/01.wav", "JLEE/sing/01.wav", "__MACOSX/JTAN/sing/01.wav"])
    groups = {(r.speaker, r.kind): r.group for r in CORPORA["nus48e"].find(tmp_path)}
    song = {("ADIZ", "song"): "nus48e/01", ("JLEE", "song"): "nus48e/01"}
    assert groups == song | {("ADIZ", "speech"): "nus48e/speech/01"}


def test_opencpop_keeps_the_official_split_by_song(tmp_path):
    recordings = by_name(CORPORA["opencpop"].find(TREES["opencpop"](tmp_path / "official")))
    assert {name[:4]: r.split for name, r in recordings.items()} == {"2001": "train", "2002": "train", "2044": "test"}
    names = OPENCPOP_SEGMENTS
    mixed = TREES["opencpop"](tmp_path / "mixed", train=[names[0], *names[2:4]], test=[names[1]])
    assert [r.split for r in CORPORA["opencpop"].find(mixed)] == ["test", "test", "train", "train", None, None]


def test_opensinger(tmp_path):
    recordings = CORPORA["opensinger"].find(TREES["opensinger"](tmp_path))
    assert {r.speaker for r in recordings} == {"Man_0", "Man_27", "Woman_0", "Woman_47"}
    groups = {(r.speaker, r.group) for r in recordings}
    assert {("Man_0", "opensinger/光年之外"), ("Woman_0", "opensinger/光年之外")} <= groups
    assert ("Man_27", "opensinger/Almost_lover_2") in groups
    assert [r.text for r in recordings if r.text] == ["感受停在"]


@pytest.mark.parametrize("layout", RAVDESS_LAYOUTS)
def test_ravdess_in_every_layout(tmp_path, layout):
    recordings = CORPORA["ravdess"].find(TREES["ravdess"](tmp_path, layout))
    assert count(recordings) == (3, 10, {"song": 36, "speech": 24})
    assert {r.speaker for r in recordings} == {"actor01", "actor02", "actor13"}


def test_ravdess_takes_intensities_and_actors_share_a_group_and_speech_does_not(tmp_path):
    names = ["03-02-03-01-01-01-01", "03-02-03-01-01-02-01", "03-02-03-02-01-01-01", "03-02-03-01-01-01-02"]
    names += ["03-02-03-01-02-01-01", "03-01-03-01-01-01-01"]
    others = ["Actor_01/01-02-01-01-01-01-01.mp4", "Actor_01/a.wav"]  # films and others
    write_tree(tmp_path, [*(f"Actor_{name[-2:]}/{name}.wav" for name in names), *others])
    recordings = {r.path.stem: r for r in CORPORA["ravdess"].find(tmp_path)}
    assert [recordings[name].group for name in names] == [
        *4 * ["ravdess/03-01"],
        "ravdess/03-02",
        "ravdess/speech/03-01",
    ]
    assert recordings.keys() == {*names}
    assert recordings[names[0]].text == "Kids are talking by the door"


@pytest.mark.parametrize("encoding", ["cp932", "utf-8"])
def test_utau_bank_with_pitch_folders(tmp_path, encoding):
    recordings = CORPORA["utau"].find(TREES["utau"](tmp_path / "bank", encoding))
    assert {r.speaker for r in recordings} == {"櫃木クミ"}
    assert {r.group for r in recordings} == {"utau/ああいあ", "utau/か"}
    texts = {(r.path.parent.name, r.path.stem): r.text for r in recordings}
    assert (texts["A3", "か"], texts["D5", "_ああいあ"]) == ("か", "ああいあ")


def test_utau_banks_beside_each_other_are_speakers(tmp_path):
    TREES["utau"](tmp_path / "one")
    write_tree(tmp_path / "Yuki", ["_いいおあえ.wav"], {"oto.ini": UTAU_ALIASES})
    write_tree(tmp_path / "bare" / "three", ["a.wav"], {"character.yaml": ""})
    write_tree(tmp_path / "four", ["B4/か.wav"], {"B4/OTO.INI": UTAU_ALIASES})
    write_tree(tmp_path / "five", ["B4/か.wav"], {"Character.txt": "Name=Fünf\n"})
    recordings = CORPORA["utau"].find(tmp_path)
    assert {r.speaker for r in recordings} == {"櫃木クミ", "Yuki", "three", "four", "Fünf"}
    assert detect(tmp_path) == "utau"
    (four,) = (r for r in recordings if r.speaker == "four")
    assert (four.group, four.text) == ("utau/か", "か")


def test_utau_pitch_folders_without_a_character_and_a_folder_of_audio_alone(tmp_path):
    write_tree(
        tmp_path / "bank", ["A3/か.wav", "C#4/か.wav"], {"A3/oto.ini": UTAU_ALIASES, "C#4/oto.ini": UTAU_ALIASES}
    )
    assert count(CORPORA["utau"].find(tmp_path / "bank")) == (1, 1, {"song": 2})
    write_tree(tmp_path / "kumi", ["Core_A3_0004.flac", "Core_0003.flac"])
    recordings = by_name(CORPORA["utau"].find(tmp_path / "kumi"))
    assert {r.speaker for r in recordings.values()} == {"kumi"}
    assert recordings["Core_A3_0004.flac"].group == "utau/Core_A3_0004"


def test_vctk_sentences_are_groups_and_one_microphone_is_used(tmp_path):
    recordings = by_name(CORPORA["vctk"].find(TREES["vctk"](tmp_path / "0.92")))
    assert all(name.endswith("_mic1.flac") for name in recordings)
    groups = {name.removesuffix("_mic1.flac"): r.group for name, r in recordings.items()}
    assert groups["p225_001"] == groups["p315_001"] == "vctk/001"
    assert groups["p225_030"] == groups["s5_030"] != groups["p226_030"]
    assert groups["p315_030"] == "vctk/p315_030"
    assert recordings["p225_001_mic1.flac"].text == "Please call Stella."
    assert recordings["p315_001_mic1.flac"].text is None
    second = ["wav48_silence_trimmed/p225/p225_001_mic2.flac", "wav48_silence_trimmed/p225/p225_002_mic1.flac"]
    write_tree(tmp_path / "second", second)
    assert [r.path.stem for r in CORPORA["vctk"].find(tmp_path / "second")] == ["p225_001_mic2", "p225_002_mic1"]


def test_vctk_version_080(tmp_path):
    sounds = [f"VCTK-Corpus/wav48/{s}/{s}_{n:03d}.wav" for s in ("p225", "p362") for n in (1, 2, 4)]
    write_tree(tmp_path, sounds, {"VCTK-Corpus/txt/p225/p225_001.txt": "Please call Stella."})
    recordings = CORPORA["vctk"].find(tmp_path)
    assert count(recordings) == (2, 3, {"speech": 6})
    assert [r.text for r in recordings if r.text] == ["Please call Stella."]


def test_vocalset_techniques_and_songs(tmp_path):
    names = by_name(CORPORA["vocalset"].find(TREES["vocalset"](tmp_path)))
    assert names["f1_row_straight.wav"].group == names["m9_row_straight.wav"].group == "vocalset/excerpts/row"
    other = names["m1_arpeggios_belt_o.wav"]  # speaker and technique are those of the folders
    assert (other.speaker, other.group, other.language) == ("male11", "vocalset/arpeggios/straight", "zxx")
    languages = [names[f"{n}.wav"].language for n in ("m9_row_straight", "f1_caro_vibrato", "m11_dona_straight")]
    assert languages == ["en", "it", "la"]


def test_vocalset_12_holds_every_file_three_times(tmp_path):
    TREES["vocalset"](tmp_path / "VocalSet1-2", home="data_by_singer")
    write_tree(tmp_path / "VocalSet1-2", ["data_by_technique/straight/f1_row_straight.wav", "data_by_vowel/a/x.wav"])
    assert len(CORPORA["vocalset"].find(tmp_path)) == 7
