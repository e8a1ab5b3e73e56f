"""M4Singer corpus (Zhang et al. 2022): Mandarin songs of 20 singers.

Layout after ParallelWaveGAN, ``egs/m4singer/voc1/local/data_prep.py``, and Amphion, ``preprocessors/m4singer.py``:
``m4singer/{Alto-1#美错/0000.{wav,TextGrid,mid},meta.json}`` with ``{"item_name": "Alto-1#美错#0000", "txt": ...}``.
Some ``unzip`` programs write ``#U7f8e`` for a character, some tools ``-`` for a blank; both give the same group.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Corpus, Recording, nfc, read_text
from svc.errors import DataError

_ESCAPE = re.compile(r"#U([0-9a-fA-F]{4})|#L([0-9a-fA-F]{6})")  # of Info-ZIP


def _read(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    texts = _texts(root / "meta.json")
    for path in paths:
        speaker, _, name = path.parent.name.partition("#")
        song = _song(name)
        text = texts.get((speaker, song, path.stem))
        yield Recording(path, speaker, CORPUS.group(song), "song", "zh", RESEARCH_ONLY, text)


def _song(name: str) -> str:
    """Title of a song without escapes and blanks, composed."""
    characters = _ESCAPE.sub(lambda escape: chr(min(int(escape[1] or escape[2], 16), 0x10FFFF)), name)
    return nfc(characters).replace(" ", "-")


def _texts(path: Path) -> dict[tuple[str, str, str], str]:
    content = read_text(path)
    try:
        items = [(item["item_name"], item.get("txt")) for item in json.loads(content or "[]")]
        names = [(*name.partition("#")[::2], text) for name, text in items if text]
        return {
            (speaker, _song(rest.rpartition("#")[0]), rest.rpartition("#")[2]): text for speaker, rest, text in names
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"{path}: is not M4Singer's list of items; unpack it again or remove it") from None


CORPUS = Corpus(
    "m4singer",
    "Alto-1#song/0000.wav",
    ("[A-Z]*-[0-9]*#*/[0-9]*.*",),
    credit="M4Singer (Zhang et al. 2022)",
    read=_read,
)
