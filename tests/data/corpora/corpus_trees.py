"""Directory trees of corpora with tiny sounds, for the tests."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import soundfile

from svc.data.corpora.base import Recording

SAMPLE_RATE = 16000
SECONDS = 0.05


@cache
def sound(suffix: str) -> bytes:
    """A sine of 0.05 s as a file."""
    content = io.BytesIO()
    sine = 0.1 * np.sin(2 * np.pi * 220 * np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE)
    soundfile.write(content, sine, SAMPLE_RATE, format="FLAC" if suffix == ".flac" else "WAV")
    return content.getvalue()


def write_tree(root: Path, sounds: Iterable[str], texts: Mapping[str, str | bytes] | None = None) -> Path:
    """Write tiny sounds and texts below a folder, by their relative paths."""
    contents = {path: sound(Path(path).suffix) for path in sounds}
    for path, text in (texts or {}).items():
        contents[path] = text.encode() if isinstance(text, str) else text
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def count(recordings: Sequence[Recording]) -> tuple[int, int, dict[str, int]]:
    """Numbers of speakers and groups, and of recordings of each kind."""
    assert len({recording.path for recording in recordings}) == len(recordings)
    speakers = {recording.speaker for recording in recordings}
    return len(speakers), len({recording.group for recording in recordings}), Counter(r.kind for r in recordings)


def by_name(recordings: Sequence[Recording]) -> dict[str, Recording]:
    """Recordings by the names of their files, which must differ."""
    names = {recording.path.name: recording for recording in recordings}
    assert len(names) == len(recordings)
    return names


CSD_NOTES = "start,end,pitch,syllable\n0.05,0.5,60,ba\n2.0,3.5,62,by\n"


def csd(root: Path, notes: str = CSD_NOTES) -> Path:
    languages = {"english": "en", "korean": "kr"}
    names = [(lang, f"{short}{n:03d}{key}") for lang, short in languages.items() for n in (1, 2, 50) for key in "ab"]
    texts = {f"CSD/{language}/csv/{name}.csv": notes for language, name in names}
    texts |= {f"CSD/{language}/lyric/{name}.txt": "twinkle\ntwinkle\n" for language, name in names}
    texts |= {f"CSD/{language}/metadata.json": "{}" for language in languages}
    return write_tree(root, [f"CSD/{language}/wav/{name}.wav" for language, name in names], texts)


def librispeech(root: Path, home: str = "LibriSpeech/train-clean-100/") -> Path:
    names = ("103/1240/103-1240-0000", "103/1240/103-1240-0001", "103/1241/103-1241-0000", "26/495/26-495-0000")
    table = "103-1240-0000 CHAPTER ONE\n103-1240-0001 MISSUS RACHEL\n103-1240-0002 GONE\n"
    return write_tree(root, [f"{home}{name}.flac" for name in names], {f"{home}103/1240/103-1240.trans.txt": table})


def ljspeech(root: Path) -> Path:
    table = (
        'LJ001-0001|Printing, in 1 "sense|Printing, in one "sense\nLJ001-0002|in being comparatively modern.|\n'
        "LJ001-0003|only two fields\nLJ001-0004\n\nLJ999-0001|no such file|no such file\n"
    )
    sounds = [f"LJSpeech-1.1/wavs/LJ001-{n:04d}.wav" for n in range(1, 6)]
    return write_tree(root, sounds, {"LJSpeech-1.1/metadata.csv": table, "LJSpeech-1.1/README": "LJ"})


M4SINGER_ITEMS = [
    {"item_name": "Alto-1#美错#0000", "txt": "你曾经说"},
    {"item_name": "Alto-1#美错#0001", "txt": "你不爱"},
    {"item_name": "Tenor-7#美错#0000", "txt": "你曾经说"},
    {"item_name": "Bass-2#Hey Jude#0000", "txt": "hey"},
    {"item_name": "Bass-2#Hey Jude#0001"},
]


def m4singer(root: Path, rename=str) -> Path:
    names = [item["item_name"].rpartition("#")[::2] for item in M4SINGER_ITEMS]
    sounds = [f"m4singer/{rename(folder)}/{number}.wav" for folder, number in names]
    others = {path.replace(".wav", end): "" for path in sounds for end in (".TextGrid", ".mid")}
    return write_tree(root, sounds, others | {"m4singer/meta.json": json.dumps(M4SINGER_ITEMS)})


MAKAM_SONGS = {
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


def makam(root: Path) -> Path:
    """With two whole songs, which are no recordings."""
    others = {path.replace(".wav", end): "" for path in MAKAM_SONGS for end in (".TextGrid", ".mfc")}
    whole = ("goekhan/02_Kimseye.wav", "idil/Melihat_Gulses.wav")
    return write_tree(root, [*MAKAM_SONGS, *whole], others | {"README.md": "", "barbaros/lyrics.txt": ""})


def nus48e(root: Path) -> Path:
    """Twelve singers with four songs each, and files of a Mac."""
    singers = ("ADIZ", "JLEE", "JTAN", "KENN", "MCUR", "MPOL", "MPUR", "NJAT", "PMAR", "SAMF", "VKOW", "ZHIY")
    home = "download/nus-smc-corpus_48"
    songs = [(singer, f"{(first + 5 * k) % 20 + 1:02d}") for first, singer in enumerate(singers) for k in range(4)]
    names = [f"{home}/{singer}/{kind}/{song}" for singer, song in songs for kind in ("sing", "read")]
    texts = {f"{name}.txt": "0.0 0.1 sil\n" for name in names} | {f"{home}/README.txt": "", f"{home}/.DS_Store": ""}
    return write_tree(root, [*(f"{name}.wav" for name in names), f"{home}/ADIZ/sing/._01.wav"], texts)


OPENCPOP_SEGMENTS = [f"{song}{n:06d}" for song in (2001, 2002, 2044) for n in (1, 2)]


def opencpop(root: Path, train: Sequence[str] = OPENCPOP_SEGMENTS[:4], test: Sequence[str] = OPENCPOP_SEGMENTS[4:]):
    def lines(names: Sequence[str]) -> str:
        return "".join(f"{name}|感受停在|g an sh ou|G4 G4|0.1|0.1|0 0\n" for name in names)

    home = "Opencpop/segments"
    texts = {f"{home}/transcriptions.txt": lines(OPENCPOP_SEGMENTS), f"{home}/train.txt": lines(train)}
    texts |= {f"{home}/test.txt": lines(test), "Opencpop/TERMS_OF_ACCESS": "", "Opencpop/midis/2001.midi": ""}
    sounds = [f"{home}/wavs/{name}.wav" for name in OPENCPOP_SEGMENTS]
    return write_tree(root, [*sounds, "Opencpop/wavs/2001.wav", "Opencpop/wavs/2002.wav"], texts)


OPENSINGER_SOUNDS = (
    "ManRaw/0_光年之外/0_光年之外_0.wav",
    "ManRaw/0_光年之外/0_光年之外_1.wav",
    "ManRaw/27_Almost_lover_2/27_Almost_lover_2_10.wav",
    "WomanRaw/0_光年之外/0_光年之外_0.wav",
    "WomanRaw/47_小幸运/47_小幸运_3.wav",
    "WomanRaw/47/47_小幸运_4.wav",
)


def opensinger(root: Path) -> Path:
    others = {"ManRaw/.DS_Store": b"\0", "LICENSE": "", "README.md": ""}
    others |= {path.replace(".wav", ".lab"): "0 1 a" for path in OPENSINGER_SOUNDS}
    others |= {path.replace(".wav", ".txt"): "感受停在" for path in OPENSINGER_SOUNDS[:1]}
    write_tree(root / "OpenSinger", [*OPENSINGER_SOUNDS, "ManRaw/0_光年之外/notes.wav"], others)
    return root


def pjs(root: Path) -> Path:
    home, names = "PJS_corpus_ver1.1", [f"pjs{n:03d}" for n in (1, 2, 100)]
    sounds = [f"{home}/{name}/{name}_{kind}.wav" for name in names for kind in ("song", "speech")]
    texts = {f"{home}/{name}/{name}{end}": "また、東寺のように" for name in names for end in (".txt", ".lab", ".mid")}
    return write_tree(root, [*sounds, f"{home}/background_noise/background_20200530.wav"], texts)


RAVDESS_LAYOUTS = {
    "by kind": ("actor{a}/song/{n}-{a}.flac", "actor{a}/speech/{n}-{a}.flac"),
    "zenodo": ("Audio_Song_Actors_01-24/Actor_{a}/{n}-{a}.wav", "Audio_Speech_Actors_01-24/Actor_{a}/{n}-{a}.wav"),
    "flat": ("RAVDESS/Actor_{a}/{n}-{a}.wav", "RAVDESS/Actor_{a}/{n}-{a}.wav"),
}


def ravdess(root: Path, layout: str = "zenodo") -> Path:
    """Three actors with twelve songs on six melodies and eight sentences in four groups."""
    song, speech = RAVDESS_LAYOUTS[layout]
    songs = ["-".join(("03-02", *rest)) for rest in product(("01", "02", "05"), ("01",), ("01", "02"), ("01", "02"))]
    sentences = ["-".join(("03-01", *rest)) for rest in product(("01", "08"), ("01",), ("01", "02"), ("01", "02"))]
    sounds = [song.format(a=actor, n=name) for actor in ("01", "02", "13") for name in songs]
    return write_tree(root, sounds + [speech.format(a=a, n=name) for a in ("01", "02", "13") for name in sentences])


UTAU_ALIASES = "_ああいあ.wav=- あ,1,2,3,4,5\n_ああいあ.wav=a あ,1,2,3,4,5\nか.wav=か,1,2,3,4,5\n"


def utau(root: Path, encoding: str = "cp932") -> Path:
    """A voicebank with folders by pitch."""
    sounds = [f"{pitch}/{name}.wav" for pitch in ("A3", "D5") for name in ("_ああいあ", "か")]
    texts = {"character.txt": "name=櫃木クミ\r\nimage=image.bmp\r\n".encode(encoding), "readme.txt": "terms"}
    texts |= {f"{pitch}/oto.ini": UTAU_ALIASES.encode(encoding) for pitch in ("A3", "D5")}
    return write_tree(root, [*sounds, "かA4.wav"], texts | {"A3/か_wav.frq": b"\0"})


def vctk(root: Path) -> Path:
    audio, text = "VCTK-Corpus-0.92/wav48_silence_trimmed", "VCTK-Corpus-0.92/txt"
    both = [f"{audio}/{s}/{s}_{n}_mic{m}.flac" for s in ("p225", "p226", "s5") for n in ("001", "030") for m in (1, 2)]
    one = [f"{audio}/{name[:4]}/{name}_mic1.flac" for name in ("p280_001", "p315_001", "p315_030")]
    texts = {f"{text}/{s}/{s}_001.txt": "Please call Stella.\n" for s in ("p225", "p226", "s5", "p280")}
    texts |= {f"{text}/p225/p225_030.txt": "We had two.\n", f"{text}/p226/p226_030.txt": "It was so.\n"}
    return write_tree(root, both + one, texts | {f"{text}/s5/s5_030.txt": "we had TWO!\n", f"{audio}/log.txt": "log"})


VOCALSET_FILES = (
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


def vocalset(root: Path, home: str = "FULL") -> Path:
    """Eleven files, of which four are of techniques that are excluded by default."""
    extra = {"train_singers_technique.txt": "female1", "DataSetVocalises.pdf": "", f"{home}/.DS_Store": ""}
    return write_tree(root, [f"{home}/{path}" for path in VOCALSET_FILES], extra)


def folder(root: Path) -> Path:
    return write_tree(root, ["Ann/song/1.wav", "Bob/2.wav"])


TREES = {
    "nus48e": nus48e,
    "vctk": vctk,
    "ljspeech": ljspeech,
    "vocalset": vocalset,
    "opensinger": opensinger,
    "m4singer": m4singer,
    "opencpop": opencpop,
    "csd": csd,
    "ravdess": ravdess,
    "librispeech": librispeech,
    "pjs": pjs,
    "utau": utau,
    "makam": makam,
    "folder": folder,
}
