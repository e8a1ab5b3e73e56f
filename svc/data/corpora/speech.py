"""Corpora of speech."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import Corpus, Recording, read_fields, read_text

_VCTK_NAME = "[ps][0-9]*_[0-9][0-9][0-9]"
VCTK_COMMON_SENTENCES = 24  # elicitation paragraph and rainbow passage, which everybody reads


def _read_vctk(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    """VCTK corpus (Yamagishi et al.), versions 0.92 and 0.80: English speech of 110 speakers.

    Layout after torchaudio, ``datasets/vctk.py``: 0.92 ``wav48_silence_trimmed/p225/p225_001_mic1.flac``, 0.80
    ``wav48/p225/p225_001.wav``, both ``txt/p225/p225_001.txt``. The two microphones record the same sentence, so one is
    taken: the first, or the second where the first is absent. p315 has no text; ``log.txt`` lies among the speakers.

    Recordings, one microphone each.
    """
    utterances = {tuple(path.stem.split("_")[:2]): path for path in reversed(paths)}  # sorted: the first comes last
    for (speaker, number), path in sorted(utterances.items(), key=lambda item: item[1]):
        text = read_text(root / "txt" / speaker / f"{speaker}_{number}.txt")
        yield Recording(path, speaker, _vctk_group(speaker, number, text), "speech", "en", "CC BY 4.0", text)


def _vctk_group(speaker: str, number: str, text: str | None) -> str:
    """Sentence by its number where everybody reads it, else by its words, else by speaker and number."""
    if int(number) <= VCTK_COMMON_SENTENCES:
        return VCTK.group(number)
    if text is None:
        return VCTK.group(f"{speaker}_{number}")
    words = " ".join(re.findall(r"\w+", text.lower()))
    return VCTK.group(hashlib.sha256(words.encode()).hexdigest()[:16])


VCTK = Corpus(
    "vctk",
    "wav48_silence_trimmed/p225/p225_001_mic1.flac or wav48/p225/p225_001.wav",
    (
        f"wav48_silence_trimmed/[ps][0-9]*/{_VCTK_NAME}_mic[12].*",
        f"wav48/[ps][0-9]*/{_VCTK_NAME}.*",
        f"[ps][0-9]*/{_VCTK_NAME}.*",
        f"[ps][0-9]*/{_VCTK_NAME}_mic[12].*",
    ),
    credit="CSTR VCTK Corpus (Yamagishi et al., University of Edinburgh)",
    read=_read_vctk,
)


_LJSPEECH_NAME = "LJ[0-9][0-9][0-9]-[0-9][0-9][0-9][0-9].*"


def _read_ljspeech(root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    """LJSpeech corpus (Ito and Johnson 2017): English speech of one woman.

    Layout after torchaudio, ``datasets/ljspeech.py``: ``LJSpeech-1.1/{metadata.csv,wavs/LJ001-0001.wav}``; the table
    has ``id|text|normalised text`` without quotes, and lines with fewer fields. A folder of the audio files alone will
    do.
    """
    texts = read_fields(root / "metadata.csv")
    for path in paths:
        fields = [field for field in texts.get(path.stem, []) if field]
        text = fields[-1] if fields else None  # the normalised one if there are two
        yield Recording(path, "ljspeech", LJSPEECH.group(path.stem), "speech", "en", "public domain", text)


LJSPEECH = Corpus(
    "ljspeech",
    "wavs/LJ001-0001.wav",
    (f"wavs/{_LJSPEECH_NAME}", _LJSPEECH_NAME),
    credit="The LJ Speech Dataset (Keith Ito)",
    read=_read_ljspeech,
)


_LIBRISPEECH_NAME = "[0-9]*-[0-9]*-[0-9][0-9][0-9][0-9].*"


def _read_librispeech(_root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    """LibriSpeech corpus (Panayotov et al. 2015): English speech of 2484 readers at 16 kHz.

    Layout after torchaudio, ``datasets/librispeech.py``: ``LibriSpeech/train-clean-100/103/1240/{103-1240-0000.flac,
    103-1240.trans.txt}``; lines of the text file are ``103-1240-0000 WORDS``. The folders of subset and chapter may be
    absent.
    """
    texts: dict[str, str] = {}
    for folder in sorted({path.parent for path in paths}):
        for table in sorted(folder.glob("*.trans.txt")):
            lines = (line.partition(" ") for line in (read_text(table) or "").splitlines())
            texts |= {name: words.strip() for name, _, words in lines if words.strip()}
    for path in paths:
        speaker = f"librispeech-{path.stem.partition('-')[0]}"
        group = LIBRISPEECH.group(path.stem)
        yield Recording(path, speaker, group, "speech", "en", "CC BY 4.0", texts.get(path.stem))


LIBRISPEECH = Corpus(
    "librispeech",
    "train-clean-100/103/1240/103-1240-0000.flac",
    (
        f"[a-z]*-*/[0-9]*/[0-9]*/{_LIBRISPEECH_NAME}",
        f"[0-9]*/[0-9]*/{_LIBRISPEECH_NAME}",
        f"[0-9]*/{_LIBRISPEECH_NAME}",
    ),
    credit="LibriSpeech (Panayotov et al. 2015)",
    read=_read_librispeech,
)
