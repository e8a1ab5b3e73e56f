"""OpenSinger corpus (Huang et al. 2021): Mandarin songs of many men and women.

Layout after Amphion, ``preprocessors/opensinger.py``: ``{ManRaw,WomanRaw}/0_song/0_song_3.{wav,lab,txt}``, that is
singer, song and segment. Men and women are numbered from 0 alike; names of songs contain ``_``; other files and
folders lie among them.
"""

import re
from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Corpus, Recording, each, read_text

_STEM = re.compile(r"([0-9]+)_(.+)_[0-9]+")


def _recording(path: Path) -> Recording | None:
    name = _STEM.fullmatch(path.stem)
    if name is None:
        return None
    speaker = f"{path.parent.parent.name.removesuffix('Raw')}_{name[1]}"
    text = read_text(path.with_suffix(".txt"))
    return Recording(path, speaker, CORPUS.group(name[2]), "song", "zh", RESEARCH_ONLY, text)


CORPUS = Corpus(
    "opensinger",
    "{ManRaw,WomanRaw}/0_song/0_song_0.wav",
    ("ManRaw/*/[0-9]*_*_[0-9]*.*", "WomanRaw/*/[0-9]*_*_[0-9]*.*"),
    credit="OpenSinger (Huang et al. 2021)",
    read=each(_recording),
)
