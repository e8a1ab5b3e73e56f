"""Opencpop corpus (Wang et al. 2022): 100 Mandarin songs of one woman, cut into segments.

Layout after Amphion, ``preprocessors/opencpop.py``: ``segments/{wavs/2001000001.wav,transcriptions.txt,train.txt,
test.txt}`` with lines ``2001000001|text|phones|…``; the first four digits are the song. The whole songs in ``wavs``
are the same sound again and are left out. A song with a segment in the test is in the test as a whole.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Corpus, Recording, read_fields
from svc.data.corpora.split import Side

SONG_DIGITS = 4


def _read(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    tables = {name: read_fields(root / "segments" / f"{name}.txt") for name in ("transcriptions", "train", "test")}
    fields = tables["train"] | tables["test"] | tables["transcriptions"]
    sides: dict[str, Side] = {segment[:SONG_DIGITS]: "train" for segment in tables["train"]}
    sides |= {segment[:SONG_DIGITS]: "test" for segment in tables["test"]}
    for path in paths:
        song = path.stem[:SONG_DIGITS]
        text = next(iter(fields.get(path.stem, [])), None) or None
        group, split = CORPUS.group(song), sides.get(song)
        yield Recording(path, "opencpop", group, "song", "zh", RESEARCH_ONLY, text, split=split)


CORPUS = Corpus(
    "opencpop",
    "segments/wavs/2001000001.wav",
    ("segments/wavs/" + 10 * "[0-9]" + ".*",),
    credit="Opencpop (Wang et al. 2022)",
    read=_read,
)
