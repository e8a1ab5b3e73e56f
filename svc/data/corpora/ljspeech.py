"""LJSpeech corpus (Ito and Johnson 2017): English speech of one woman.

Layout after torchaudio, ``datasets/ljspeech.py``: ``LJSpeech-1.1/{metadata.csv,wavs/LJ001-0001.wav}``; the table has
``id|text|normalised text`` without quotes, and lines with fewer fields. A folder of the audio files alone will do.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import Corpus, Recording, read_fields

_NAME = "LJ[0-9][0-9][0-9]-[0-9][0-9][0-9][0-9].*"


def _read(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    texts = read_fields(root / "metadata.csv")
    for path in paths:
        fields = [field for field in texts.get(path.stem, []) if field]
        text = fields[-1] if fields else None  # the normalised one if there are two
        yield Recording(path, "ljspeech", CORPUS.group(path.stem), "speech", "en", "public domain", text)


CORPUS = Corpus(
    "ljspeech",
    "wavs/LJ001-0001.wav",
    (f"wavs/{_NAME}", _NAME),
    credit="The LJ Speech Dataset (Keith Ito)",
    read=_read,
)
