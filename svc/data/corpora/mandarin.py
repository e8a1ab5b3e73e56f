"""Corpora of singing in Mandarin."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Corpus, Recording, each, nfc, read_fields, read_text
from svc.data.corpora.split import Side
from svc.errors import DataError

_OPENSINGER_STEM = re.compile(r"([0-9]+)_(.+)_[0-9]+")


def _read_opensinger(path: Path) -> Recording | None:
    """OpenSinger corpus (Huang et al. 2021): Mandarin songs of many men and women.

    Layout after Amphion, ``preprocessors/opensinger.py``: ``{ManRaw,WomanRaw}/0_song/0_song_3.{wav,lab,txt}``, that is
    singer, song and segment. Men and women are numbered from 0 alike; names of songs contain ``_``; other files and
    folders lie among them.
    """
    name = _OPENSINGER_STEM.fullmatch(path.stem)
    if name is None:
        return None
    speaker = f"{path.parent.parent.name.removesuffix('Raw')}_{name[1]}"
    text = read_text(path.with_suffix(".txt"))
    return Recording(path, speaker, OPENSINGER.group(name[2]), "song", "zh", RESEARCH_ONLY, text)


OPENSINGER = Corpus(
    "opensinger",
    "{ManRaw,WomanRaw}/0_song/0_song_0.wav",
    ("ManRaw/*/[0-9]*_*_[0-9]*.*", "WomanRaw/*/[0-9]*_*_[0-9]*.*"),
    credit="OpenSinger (Huang et al. 2021)",
    read=each(_read_opensinger),
)


_M4SINGER_ESCAPE = re.compile(r"#U([0-9a-fA-F]{4})|#L([0-9a-fA-F]{6})")  # of Info-ZIP


def _read_m4singer(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    """M4Singer corpus (Zhang et al. 2022): Mandarin songs of 20 singers.

    Layout after ParallelWaveGAN, ``egs/m4singer/voc1/local/data_prep.py``, and Amphion, ``preprocessors/m4singer.py``:
    ``m4singer/{Alto-1#美错/0000.{wav,TextGrid,mid},meta.json}`` with ``{"item_name": "Alto-1#美错#0000", "txt": ...}``.
    Some ``unzip`` programs write ``#U7f8e`` for a character, some tools ``-`` for a blank; both give the same group.
    """
    texts = _m4singer_texts(root / "meta.json")
    for path in paths:
        speaker, _, name = path.parent.name.partition("#")
        song = _m4singer_song(name)
        text = texts.get((speaker, song, path.stem))
        yield Recording(path, speaker, M4SINGER.group(song), "song", "zh", RESEARCH_ONLY, text)


def _m4singer_song(name: str) -> str:
    """Title of a song without escapes and blanks, composed."""
    characters = _M4SINGER_ESCAPE.sub(lambda escape: chr(min(int(escape[1] or escape[2], 16), 0x10FFFF)), name)
    return nfc(characters).replace(" ", "-")


def _m4singer_texts(path: Path) -> dict[tuple[str, str, str], str]:
    content = read_text(path)
    try:
        items = [(item["item_name"], item.get("txt")) for item in json.loads(content or "[]")]
        names = [(*name.partition("#")[::2], text) for name, text in items if text]
        return {
            (speaker, _m4singer_song(rest.rpartition("#")[0]), rest.rpartition("#")[2]): text
            for speaker, rest, text in names
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"{path}: is not M4Singer's list of items; unpack it again or remove it") from None


M4SINGER = Corpus(
    "m4singer",
    "Alto-1#song/0000.wav",
    ("[A-Z]*-[0-9]*#*/[0-9]*.*",),
    credit="M4Singer (Zhang et al. 2022)",
    read=_read_m4singer,
)


OPENCPOP_SONG_DIGITS = 4


def _read_opencpop(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    """Opencpop corpus (Wang et al. 2022): 100 Mandarin songs of one woman, cut into segments.

    Layout after Amphion, ``preprocessors/opencpop.py``: ``segments/{wavs/2001000001.wav,transcriptions.txt,train.txt,
    test.txt}`` with lines ``2001000001|text|phones|…``; the first four digits are the song. The whole songs in ``wavs``
    are the same sound again and are left out. A song with a segment in the test is in the test as a whole.
    """
    tables = {name: read_fields(root / "segments" / f"{name}.txt") for name in ("transcriptions", "train", "test")}
    fields = tables["train"] | tables["test"] | tables["transcriptions"]
    sides: dict[str, Side] = {segment[:OPENCPOP_SONG_DIGITS]: "train" for segment in tables["train"]}
    sides |= {segment[:OPENCPOP_SONG_DIGITS]: "test" for segment in tables["test"]}
    for path in paths:
        song = path.stem[:OPENCPOP_SONG_DIGITS]
        text = next(iter(fields.get(path.stem, [])), None) or None
        group, split = OPENCPOP.group(song), sides.get(song)
        yield Recording(path, "opencpop", group, "song", "zh", RESEARCH_ONLY, text, split=split)


OPENCPOP = Corpus(
    "opencpop",
    "segments/wavs/2001000001.wav",
    ("segments/wavs/" + 10 * "[0-9]" + ".*",),
    credit="Opencpop (Wang et al. 2022)",
    read=_read_opencpop,
)
