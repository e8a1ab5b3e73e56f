"""LibriSpeech corpus (Panayotov et al. 2015): English speech of 2484 readers at 16 kHz.

Layout after torchaudio, ``datasets/librispeech.py``: ``LibriSpeech/train-clean-100/103/1240/{103-1240-0000.flac,
103-1240.trans.txt}``; lines of the text file are ``103-1240-0000 WORDS``. The folders of subset and chapter may be
absent.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import Corpus, Recording, read_text

_NAME = "[0-9]*-[0-9]*-[0-9][0-9][0-9][0-9].*"


def _read(_root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    texts: dict[str, str] = {}
    for folder in sorted({path.parent for path in paths}):
        for table in sorted(folder.glob("*.trans.txt")):
            lines = (line.partition(" ") for line in (read_text(table) or "").splitlines())
            texts |= {name: words.strip() for name, _, words in lines if words.strip()}
    for path in paths:
        speaker = f"librispeech-{path.stem.partition('-')[0]}"
        group = CORPUS.group(path.stem)
        yield Recording(path, speaker, group, "speech", "en", "CC BY 4.0", texts.get(path.stem))


CORPUS = Corpus(
    "librispeech",
    "train-clean-100/103/1240/103-1240-0000.flac",
    (f"[a-z]*-*/[0-9]*/[0-9]*/{_NAME}", f"[0-9]*/[0-9]*/{_NAME}", f"[0-9]*/{_NAME}"),
    credit="LibriSpeech (Panayotov et al. 2015)",
    read=_read,
)
