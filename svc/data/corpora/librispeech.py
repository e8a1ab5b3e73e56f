"""LibriSpeech corpus (Panayotov et al. 2015): English speech of 2484 readers at 16 kHz.

Layout after torchaudio, ``datasets/librispeech.py``: ``LibriSpeech/train-clean-100/103/1240/{103-1240-0000.flac,
103-1240.trans.txt}``; lines of the text file are ``103-1240-0000 WORDS``. The folders of subset and chapter may be
absent.
"""

from pathlib import Path

from svc.data.corpora.base import Layout, Recording, read_text

_NAME = "[0-9]*-[0-9]*-[0-9][0-9][0-9][0-9].*"
CREDIT = "LibriSpeech (Panayotov et al. 2015)"
LAYOUT = Layout(
    "librispeech",
    "train-clean-100/103/1240/103-1240-0000.flac",
    (f"[a-z]*-*/[0-9]*/[0-9]*/{_NAME}", f"[0-9]*/[0-9]*/{_NAME}", f"[0-9]*/{_NAME}"),
)


def find(root: Path) -> list[Recording]:
    """Recordings of LibriSpeech, each a group of its own; speakers are ``librispeech-103`` and so on.

    Raises:
        DataError: there are none, or a text cannot be read.
    """
    paths = LAYOUT.all_files(root)
    texts: dict[str, str] = {}
    for folder in sorted({path.parent for path in paths}):
        for table in sorted(folder.glob("*.trans.txt")):
            lines = (line.partition(" ") for line in (read_text(table) or "").splitlines())
            texts |= {name: words.strip() for name, _, words in lines if words.strip()}
    return [_recording(path, texts.get(path.stem)) for path in paths]


def _recording(path: Path, text: str | None) -> Recording:
    speaker = f"librispeech-{path.stem.partition('-')[0]}"
    return Recording(path, speaker, LAYOUT.group(path.stem), "speech", "en", "CC BY 4.0", text)
