"""M4Singer corpus (Zhang et al. 2022): Mandarin songs of 20 singers.

Layout after ParallelWaveGAN, ``egs/m4singer/voc1/local/data_prep.py``, and Amphion, ``preprocessors/m4singer.py``:
``m4singer/{Alto-1#美错/0000.{wav,TextGrid,mid},meta.json}`` with ``{"item_name": "Alto-1#美错#0000", "txt": ...}``.
Some ``unzip`` programs write ``#U7f8e`` for a character, some tools ``-`` for a blank; both give the same group.
"""

import json
import re
from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Layout, Recording, nfc, read_text
from svc.errors import DataError

CREDIT = "M4Singer (Zhang et al. 2022)"
LAYOUT = Layout("m4singer", "Alto-1#song/0000.wav", ("[A-Z]*-[0-9]*#*/[0-9]*.*",))
_ESCAPE = re.compile(r"#U([0-9a-fA-F]{4})|#L([0-9a-fA-F]{6})")  # of Info-ZIP


def find(root: Path) -> list[Recording]:
    """Recordings of M4Singer; their texts are from ``meta.json`` where it is there.

    Raises:
        DataError: there are none, or ``meta.json`` is damaged.
    """
    recordings = []
    for folder in LAYOUT.roots(root):
        texts = _texts(folder / "meta.json")
        for path in LAYOUT.files(folder):
            speaker, _, name = path.parent.name.partition("#")
            song = _song(name)
            text = texts.get((speaker, song, path.stem))
            recordings.append(Recording(path, speaker, LAYOUT.group(song), "song", "zh", RESEARCH_ONLY, text))
    return recordings


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
