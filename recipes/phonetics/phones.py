"""Phone set of the phone classifier (39 phones), and its spellings in ARPABET, IPA and kana."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]

SILENCE, UNKNOWN = 0, -1  # labels of frames
CONSONANTS = "p b t d k g f v θ ð s z ʃ ʒ h tʃ dʒ m n ŋ l ɹ ɾ j w"
VOWELS = "i ɪ e ɛ æ a ɑ ʌ ɔ o ʊ u ɝ"
PHONES = ("_", *CONSONANTS.split(), *VOWELS.split())
NUMBER = {phone: number for number, phone in enumerate(PHONES)}

_SPELT = (
    "AA:ɑ AE:æ AH:ʌ AO:ɔ AW:a+ʊ AY:a+ɪ B:b CH:tʃ D:d DH:ð EH:ɛ ER:ɝ EY:e+ɪ F:f G:g HH:h IH:ɪ IY:i JH:dʒ K:k L:l M:m "
    "N:n NG:ŋ OW:o+ʊ OY:ɔ+ɪ P:p R:ɹ S:s SH:ʃ T:t TH:θ UH:ʊ UW:u V:v W:w Y:j Z:z ZH:ʒ"
)
ARPABET = {name: tuple(phones.split("+")) for name, phones in (pair.split(":") for pair in _SPELT.split())}
# Letters of espeak-ng's IPA that are not in PHONES; what stands in neither (length, stress) is no phone of its own.
IPA = dict(zip("ɡrəɐɒɜɚxβɣɫɸɯɕʑçɴɲyøœᵻ", "gɹʌʌɑɝɝhvglfuʃʒhŋniɝɝɪ", strict=True))

_ROWS = {"": "あいうえお", "k": "かきくけこ", "g": "がぎぐげご", "s": "さしすせそ", "z": "ざじずぜぞ"}
_ROWS |= {"t": "たちつてと", "d": "だぢづでど", "n": "なにぬねの", "h": "はひふへほ", "b": "ばびぶべぼ"}
_ROWS |= {"p": "ぱぴぷぺぽ", "m": "まみむめも", "ɾ": "らりるれろ"}
_KANA: dict[str, tuple[str, ...]] = {
    kana: (consonant, vowel) if consonant else (vowel,)
    for consonant, row in _ROWS.items()
    for kana, vowel in zip(row, "aiueo", strict=True)
}
_KANA |= {"し": ("ʃ", "i"), "ち": ("tʃ", "i"), "つ": ("t", "s", "u"), "じ": ("dʒ", "i"), "ぢ": ("dʒ", "i")}
_KANA |= {"づ": ("z", "u"), "ふ": ("f", "u"), "や": ("j", "a"), "ゆ": ("j", "u"), "よ": ("j", "o"), "わ": ("w", "a")}
_KANA |= {"を": ("o",), "ん": ("n",), "ゔ": ("v", "u")}
_SMALL = dict(zip("ゃゅょぁぃぅぇぉ", "auoaiueo", strict=True))
_GLIDES = {"i": "j", "u": "w"}
_PALATAL = ("ʃ", "tʃ", "dʒ")


@dataclass(frozen=True, slots=True)
class Segment:
    """Phones one after another, with their times."""

    phones: tuple[str, ...]  # of PHONES; those of a diphthong share its time
    start: float  # frames, may be broken
    end: float  # frames


def from_arpabet(symbol: str) -> tuple[str, ...]:
    """Phones of a symbol of CMU's dictionary, with or without stress; silence for fillers."""
    return ARPABET.get(symbol.rstrip("012"), (PHONES[SILENCE],))


def from_ipa(symbol: str) -> tuple[str, ...]:
    """Phones of a symbol of espeak-ng in IPA; silence if there is none in it."""
    plain = "".join(IPA.get(letter, letter) for letter in symbol)
    if plain in PHONES:
        return (plain,)
    return tuple(letter for letter in plain if letter in PHONES) or (PHONES[SILENCE],)


def from_kana(text: str) -> list[tuple[str, ...]]:
    """Phones of each syllable of hiragana or katakana; other characters are passed over."""
    syllables: list[tuple[str, ...]] = []
    for letter in text:
        kana = chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヴ" else letter
        if kana in _SMALL and syllables:
            syllables[-1] = _contracted(syllables[-1], kana)
        elif kana in _KANA:
            syllables.append(_KANA[kana])
    return syllables


def _contracted(full: tuple[str, ...], small: str) -> tuple[str, ...]:
    *onset, vowel = full
    if small in "ゃゅょ" and (not onset or onset[-1] not in _PALATAL):
        onset.append("j")
    elif small in "ぁぃぅぇぉ" and not onset:
        onset.append(_GLIDES.get(vowel, vowel))
    elif small == "ぇ" and vowel == "i" and onset[-1] not in _PALATAL:
        onset.append("j")
    return (*onset, _SMALL[small])


def labels(segments: Iterable[Segment], frames: int, elsewhere: int = UNKNOWN) -> Labels:
    """Frame labels (N,) of segments, and another label elsewhere."""
    result = np.full(frames, elsewhere, dtype=np.int64)
    for segment in segments:
        bounds = np.linspace(segment.start, segment.end, len(segment.phones) + 1).round().astype(int)
        for phone, first, last in zip(segment.phones, bounds[:-1], bounds[1:], strict=True):
            result[max(first, 0) : max(last, 0)] = NUMBER[phone]
    return result
