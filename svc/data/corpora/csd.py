"""CSD, children's song dataset (Choi et al. 2020): 50 English and 50 Korean songs of one woman, each in two keys.

Layout after the corpus's README and Amphion, ``preprocessors/csd.py``: ``CSD/{english,korean}/{wav,mid,lyric,txt,csv}/
{en,kr}001{a,b}.wav``; ``a`` and ``b`` are one song in two keys. The notes in ``csv`` (start, end, pitch, syllable)
say where the song starts and ends in its file.
"""

import csv
from pathlib import Path

from svc.data.corpora.base import Corpus, Recording, each, read_text

LANGUAGES = {"en": "en", "kr": "ko"}  # file name: ISO 639-1
MARGIN = 0.1  # seconds of sound before the first note and after the last


def _recording(path: Path) -> Recording:
    folder = path.parent.parent
    start, end = _bounds(folder / "csv" / f"{path.stem}.csv")
    lyrics = read_text(folder / "lyric" / f"{path.stem}.txt")
    text = " ".join(lyrics.split()) if lyrics else None
    group = CORPUS.group(path.stem[:-1])  # both keys
    return Recording(path, "csd", group, "song", LANGUAGES[path.stem[:2]], "CC BY-NC-SA 4.0", text, start, end)


def _bounds(path: Path) -> tuple[float, float] | tuple[None, None]:
    """Start and end of the song in seconds, if its notes are there and in order."""
    notes = list(csv.DictReader((read_text(path) or "").splitlines()))
    try:
        start = min(float(note["start"]) for note in notes) - MARGIN
        end = max(float(note["end"]) for note in notes) + MARGIN
    except (KeyError, TypeError, ValueError):
        return None, None
    return (max(start, 0.0), end) if start < end else (None, None)


CORPUS = Corpus(
    "csd",
    "{english,korean}/wav/{en,kr}001a.wav",
    ("english/wav/en[0-9][0-9][0-9][ab].*", "korean/wav/kr[0-9][0-9][0-9][ab].*"),
    credit="Children's Song Dataset (Choi et al. 2020)",
    read=each(_recording),
)
