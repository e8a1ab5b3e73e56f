"""Opencpop corpus (Wang et al. 2022): 100 Mandarin songs of one woman, cut into segments.

Layout after Amphion, ``preprocessors/opencpop.py``: ``segments/{wavs/2001000001.wav,transcriptions.txt,train.txt,
test.txt}`` with lines ``2001000001|text|phones|…``; the first four digits are the song. The whole songs in ``wavs``
are the same sound again and are left out.
"""

from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Layout, Recording, read_fields
from svc.data.corpora.split import Side

SONG_DIGITS = 4
CREDIT = "Opencpop (Wang et al. 2022)"
LAYOUT = Layout("opencpop", "segments/wavs/2001000001.wav", ("segments/wavs/" + 10 * "[0-9]" + ".*",))


def find(root: Path) -> list[Recording]:
    """Recordings of Opencpop with the official split; a song with a segment in the test is in the test as a whole.

    Raises:
        DataError: there are none, or a table cannot be read.
    """
    recordings = []
    for folder in LAYOUT.roots(root):
        tables = {
            name: read_fields(folder / "segments" / f"{name}.txt") for name in ("transcriptions", "train", "test")
        }
        fields = tables["train"] | tables["test"] | tables["transcriptions"]
        songs = {name: {segment[:SONG_DIGITS] for segment in tables[name]} for name in ("train", "test")}
        for path in LAYOUT.files(folder):
            song = path.stem[:SONG_DIGITS]
            text = next(iter(fields.get(path.stem, [])), None) or None
            split: Side | None = "test" if song in songs["test"] else "train" if song in songs["train"] else None
            group = LAYOUT.group(song)
            recordings.append(Recording(path, "opencpop", group, "song", "zh", RESEARCH_ONLY, text, split=split))
    return recordings
