"""VCTK corpus (Yamagishi et al.), versions 0.92 and 0.80: English speech of 110 speakers.

Layout after torchaudio, ``datasets/vctk.py``: 0.92 ``wav48_silence_trimmed/p225/p225_001_mic1.flac``, 0.80
``wav48/p225/p225_001.wav``, both ``txt/p225/p225_001.txt``. The two microphones record the same sentence, so one is
taken: the first, or the second where the first is absent. p315 has no text; ``log.txt`` lies among the speakers.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import Corpus, Recording, read_text

_NAME = "[ps][0-9]*_[0-9][0-9][0-9]"
COMMON_SENTENCES = 24  # elicitation paragraph and rainbow passage, which everybody reads


def _read(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    """Recordings, one microphone each."""
    utterances = {tuple(path.stem.split("_")[:2]): path for path in reversed(paths)}  # sorted: the first comes last
    for (speaker, number), path in sorted(utterances.items(), key=lambda item: item[1]):
        text = read_text(root / "txt" / speaker / f"{speaker}_{number}.txt")
        yield Recording(path, speaker, _group(speaker, number, text), "speech", "en", "CC BY 4.0", text)


def _group(speaker: str, number: str, text: str | None) -> str:
    """Sentence by its number where everybody reads it, else by its words, else by speaker and number."""
    if int(number) <= COMMON_SENTENCES:
        return CORPUS.group(number)
    if text is None:
        return CORPUS.group(f"{speaker}_{number}")
    words = " ".join(re.findall(r"\w+", text.lower()))
    return CORPUS.group(hashlib.sha256(words.encode()).hexdigest()[:16])


CORPUS = Corpus(
    "vctk",
    "wav48_silence_trimmed/p225/p225_001_mic1.flac or wav48/p225/p225_001.wav",
    (
        f"wav48_silence_trimmed/[ps][0-9]*/{_NAME}_mic[12].*",
        f"wav48/[ps][0-9]*/{_NAME}.*",
        f"[ps][0-9]*/{_NAME}.*",
        f"[ps][0-9]*/{_NAME}_mic[12].*",
    ),
    credit="CSTR VCTK Corpus (Yamagishi et al., University of Edinburgh)",
    read=_read,
)
