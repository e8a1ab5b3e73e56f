"""OpenSinger corpus (Huang et al. 2021): Mandarin songs of many men and women.

Layout after Amphion, ``preprocessors/opensinger.py``: ``{ManRaw,WomanRaw}/0_song/0_song_3.{wav,lab,txt}``, that is
singer, song and segment. Men and women are numbered from 0 alike; names of songs contain ``_``; other files and
folders lie among them.
"""

import re
from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Layout, Recording, read_text

CREDIT = "OpenSinger (Huang et al. 2021)"
LAYOUT = Layout(
    "opensinger",
    "{ManRaw,WomanRaw}/0_song/0_song_0.wav",
    ("ManRaw/*/[0-9]*_*_[0-9]*.*", "WomanRaw/*/[0-9]*_*_[0-9]*.*"),
)
_STEM = re.compile(r"([0-9]+)_(.+)_[0-9]+")


def find(root: Path) -> list[Recording]:
    """Recordings of OpenSinger; speakers are ``Man_0``, ``Woman_0`` and so on.

    Raises:
        DataError: there are none.
    """
    names = [(path, _STEM.fullmatch(path.stem)) for path in LAYOUT.all_files(root)]
    return [_recording(path, name[1], name[2]) for path, name in names if name]


def _recording(path: Path, number: str, song: str) -> Recording:
    speaker = f"{path.parent.parent.name.removesuffix('Raw')}_{number}"
    text = read_text(path.with_suffix(".txt"))
    return Recording(path, speaker, LAYOUT.group(song), "song", "zh", RESEARCH_ONLY, text)
