"""Corpora of singing in European languages, Turkish, Korean and Japanese."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import NO_LANGUAGE, RESEARCH_ONLY, Corpus, Kind, Recording, each, read_text

NUS48E_SINGERS = ("ADIZ", "JLEE", "JTAN", "KENN", "MCUR", "MPOL", "MPUR", "NJAT", "PMAR", "SAMF", "VKOW", "ZHIY")
NUS48E_KINDS: dict[str, Kind] = {"sing": "song", "read": "speech"}


def _read_nus48e(path: Path) -> Recording:
    """NUS-48E sung and spoken lyrics corpus (Duan et al. 2013): 12 singers, 4 of 20 English songs each, sung and read.

    Layout after Amphion, ``egs/datasets/README.md``: ``nus-smc-corpus_48/ADIZ/{sing,read}/01.{wav,txt}``. The number of
    a song is the same for all singers. The ``.txt`` files hold phone boundaries, not lyrics.
    """
    kind = NUS48E_KINDS[path.parent.name]
    group = NUS48E.group_of_kind(kind, path.stem)
    return Recording(path, path.parent.parent.name, group, kind, "en", RESEARCH_ONLY)


NUS48E = Corpus(
    "nus48e",
    "ADIZ/{sing,read}/01.wav",
    tuple(f"{singer}/{folder}/[0-9][0-9].*" for singer in NUS48E_SINGERS for folder in NUS48E_KINDS),
    credit="NUS-48E sung and spoken lyrics corpus (Duan et al. 2013, National University of Singapore)",
    read=each(_read_nus48e),
)


VOCALSET_CONTEXTS = ("arpeggios", "scales", "long_tones", "excerpts")
VOCALSET_EXCLUDE = {"inhaled", "lip_trill", "vocal_fry", "spoken"}  # techniques without a usual singing tone
VOCALSET_LANGUAGES = {"caro": "it", "dona": "la", "row": "en"}  # of the excerpts


def _read_vocalset(path: Path) -> Recording | None:
    """VocalSet corpus (Wilkins et al. 2018): 20 singers, scales, arpeggios, long tones and excerpts in many techniques.

    Layout (Zenodo 1193957): ``FULL/female1/arpeggios/straight/f1_arpeggios_straight_a.wav``; version 1.2 (Zenodo
    1442513) has ``data_by_singer`` in place of ``FULL``, and the same files again by technique and vowel, which are
    left out. File names are irregular: speaker and technique are those of the folders.

    A group is an excerpt's song, or an exercise in a technique.
    """
    singer, context, technique = path.parts[-4:-1]
    if technique in VOCALSET_EXCLUDE:
        return None
    song = re.search(r"(?:^|_)(caro|dona|row)(?:_|$)", path.stem.lower()) if context == "excerpts" else None
    language = VOCALSET_LANGUAGES[song[1]] if song else NO_LANGUAGE
    group = VOCALSET.group(context, song[1] if song else technique)
    return Recording(path, singer, group, "song", language, "CC BY 4.0")


VOCALSET = Corpus(
    "vocalset",
    "FULL/female1/arpeggios/straight/*.wav",
    tuple(
        f"{prefix}{sex}[0-9]*/{context}/*/*.*"
        for prefix in ("", "FULL/", "data_by_singer/")
        for sex in ("female", "male")
        for context in VOCALSET_CONTEXTS
    ),
    credit="VocalSet (Wilkins et al. 2018)",
    read=each(_read_vocalset),
)


CSD_LANGUAGES = {"en": "en", "kr": "ko"}  # file name: ISO 639-1
CSD_MARGIN = 0.1  # seconds of sound before the first note and after the last


def _read_csd(path: Path) -> Recording:
    """CSD, children's song dataset (Choi et al. 2020): 50 English and 50 Korean songs of one woman, each in two keys.

    Layout after the corpus's README and Amphion, ``preprocessors/csd.py``:
    ``CSD/{english,korean}/{wav,mid,lyric,txt,csv}/ {en,kr}001{a,b}.wav``; ``a`` and ``b`` are one song in two keys. The
    notes in ``csv`` (start, end, pitch, syllable) say where the song starts and ends in its file.
    """
    folder = path.parent.parent
    start, end = _csd_bounds(folder / "csv" / f"{path.stem}.csv")
    lyrics = read_text(folder / "lyric" / f"{path.stem}.txt")
    text = " ".join(lyrics.split()) if lyrics else None
    group = CSD.group(path.stem[:-1])  # both keys
    return Recording(path, "csd", group, "song", CSD_LANGUAGES[path.stem[:2]], "CC BY-NC-SA 4.0", text, start, end)


def _csd_bounds(path: Path) -> tuple[float, float] | tuple[None, None]:
    """Start and end of the song in seconds, if its notes are there and in order."""
    notes = list(csv.DictReader((read_text(path) or "").splitlines()))
    try:
        start = min(float(note["start"]) for note in notes) - CSD_MARGIN
        end = max(float(note["end"]) for note in notes) + CSD_MARGIN
    except (KeyError, TypeError, ValueError):
        return None, None
    return (max(start, 0.0), end) if start < end else (None, None)


CSD = Corpus(
    "csd",
    "{english,korean}/wav/{en,kr}001a.wav",
    ("english/wav/en[0-9][0-9][0-9][ab].*", "korean/wav/kr[0-9][0-9][0-9][ab].*"),
    credit="Children's Song Dataset (Choi et al. 2020)",
    read=each(_read_csd),
)


RAVDESS_STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_RAVDESS_NAME = "-".join(["03", "0[12]", "0[1-8]", "0[12]", "0[12]", "0[12]", "[0-9][0-9]"]) + ".*"
_RAVDESS_ACTORS = ("Actor_[0-9][0-9]", "actor[0-9][0-9]")


def _read_ravdess(_root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    """RAVDESS corpus (Livingstone and Russo 2018): 24 actors who sing and speak two sentences with emotions.

    Layout (Zenodo 1188976): ``Audio_Song_Actors_01-24/Actor_01/03-02-05-01-01-02-01.wav``, in copies also without the
    first folder, or by kind ``actor01/{song,speech}/``. A file is called modality-channel-emotion-intensity-statement-
    repetition-actor; modality 03 is audio only, channel 01 speech, 02 song. All actors sing the same melody for an
    emotion, in two takes. Some copies hold every file twice, in a folder in the folder; of files of the same name the
    first is taken.
    """
    first: dict[str, Path] = {}
    for path in paths:
        first.setdefault(path.stem, path)
    for stem, path in first.items():
        _, channel, emotion, _, statement, _, actor = stem.split("-")
        kind: Kind = "speech" if channel == "01" else "song"
        group = RAVDESS.group_of_kind(kind, f"{emotion}-{statement}")
        yield Recording(path, f"actor{actor}", group, kind, "en", "CC BY-NC-SA 4.0", RAVDESS_STATEMENTS[statement])


def _ravdess_takes(name: str) -> list[str]:
    """Of both intensities and repetitions."""
    fields = re.match(r"(\d\d-\d\d-\d\d)-\d\d-(\d\d)-\d\d(-\d\d)$", name)
    if fields is None:
        return [name]
    head, statement, actor = fields.groups()
    return [f"{head}-{loud}-{statement}-{take}{actor}" for loud in ("01", "02") for take in ("01", "02")]


RAVDESS = Corpus(
    "ravdess",
    "Actor_01/03-02-01-01-01-01-01.wav or actor01/{song,speech}/…",
    tuple(
        f"{prefix}{actor}/{kind}{_RAVDESS_NAME}"
        for prefix in ("", "[Aa]udio_*/")
        for actor in _RAVDESS_ACTORS
        for kind in ("", "song/", "speech/")
    ),
    credit="RAVDESS (Livingstone and Russo 2018)",
    takes=_ravdess_takes,
    read=_read_ravdess,
)


_PJS_NUMBER = "pjs[0-9][0-9][0-9]"


def _read_pjs(path: Path) -> Recording:
    """PJS, phoneme-balanced Japanese singing-voice corpus (Koguchi et al. 2020): 100 short songs of one man, also read.

    Layout after the corpus's README and Amphion: ``PJS_corpus_ver1.1/pjs001/{pjs001_song.wav,pjs001_speech.wav,
    pjs001.txt}``, beside them ``background_noise``. A folder of the audio files alone will do.
    """
    name = path.stem.partition("_")[0]
    kind: Kind = "speech" if path.stem.endswith("_speech") else "song"
    group = PJS.group_of_kind(kind, name.removeprefix("pjs"))
    return Recording(path, "pjs", group, kind, "ja", "CC BY-SA 4.0", read_text(path.with_name(f"{name}.txt")))


PJS = Corpus(
    "pjs",
    "pjs001/pjs001_{song,speech}.wav",
    tuple(
        f"{prefix}{_PJS_NUMBER}_{kind}.*" for prefix in (f"{_PJS_NUMBER}/", "wavs/", "") for kind in ("song", "speech")
    ),
    credit="PJS phoneme-balanced Japanese singing voice corpus (Koguchi et al. 2020)",
    read=each(_read_pjs),
)


MAKAM_TITLES = {  # other names of a song, by the words in its TextGrid
    "gel_guzelim_camlicaya": "gel",
    "melihat_gulses": "kimseye",
    "sakin_gec_kalma": "bu_aksam",
}
_MAKAM_STEM = re.compile(r"(?:[0-9]+_)?(?:.*_-_)?(.+?)_(?:part)?[0-9]+_.*", re.IGNORECASE)


def _read_makam(path: Path) -> Recording | None:
    """Turkish makam a cappella sections dataset (Dzhambazov, MTG-UPF): songs of 6 singers, cut into sections.

    Layout (github.com/MTG/turkish-makam-acapella-sections-dataset): ``barbaros/02_Gel_2_zemin.wav``, that is singer,
    track, song, number and section (zemin, nakarat, meyan). Names vary: ``bu_aksam_part1_zemin``, a composer before
    ``_-_``, seconds behind ``_from_``; some songs go by another title, or by the singer of a published recording. Whole
    songs beside their sections are the same sound again and are left out.
    """
    name = _MAKAM_STEM.fullmatch(path.stem)
    if name is None:
        return None
    song = re.sub(r"[-_ ]+", "_", name[1].lower())
    return Recording(path, path.parent.name, MAKAM.group(MAKAM_TITLES.get(song, song)), "song", "tr", "CC BY 4.0")


MAKAM = Corpus(
    "makam",
    "<singer>/02_Gel_2_zemin.wav",
    tuple(f"*/*_{section}*.*" for section in ("zemin", "nakarat", "meyan", "[Pp]art[0-9]")),
    credit="Turkish makam a cappella sections dataset (Dzhambazov, MTG-UPF)",
    read=each(_read_makam),
)
