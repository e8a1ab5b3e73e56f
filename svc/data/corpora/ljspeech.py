"""LJSpeech corpus (Ito and Johnson 2017): English speech of one woman.

Layout after torchaudio, ``datasets/ljspeech.py``: ``LJSpeech-1.1/{metadata.csv,wavs/LJ001-0001.wav}``; the table has
``id|text|normalised text`` without quotes, and lines with fewer fields. A folder of the audio files alone will do.
"""

from pathlib import Path

from svc.data.corpora.base import Layout, Recording, read_fields

_NAME = "LJ[0-9][0-9][0-9]-[0-9][0-9][0-9][0-9].*"
CREDIT = "The LJ Speech Dataset (Keith Ito)"
LAYOUT = Layout("ljspeech", "wavs/LJ001-0001.wav", (f"wavs/{_NAME}", _NAME))


def find(root: Path) -> list[Recording]:
    """Recordings of LJSpeech, each a group of its own.

    Raises:
        DataError: there are none, or the table cannot be read.
    """
    recordings = []
    for folder in LAYOUT.roots(root):
        texts = read_fields(folder / "metadata.csv")
        for path in LAYOUT.files(folder):
            fields = [field for field in texts.get(path.stem, []) if field]
            text = fields[-1] if fields else None  # the normalised one if there are two
            group = LAYOUT.group(path.stem)
            recordings.append(Recording(path, "ljspeech", group, "speech", "en", "public domain", text))
    return recordings
