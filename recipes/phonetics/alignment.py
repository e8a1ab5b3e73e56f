"""Forced alignment of phones: English speech by PocketSphinx, an optional tool; singing by our own classifier."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonetics.phones import PHONES, SILENCE, Segment, from_arpabet
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.utils.optional import import_optional

RATE = 16_000
PEAK = 0.7  # of full scale, to which a recording is brought
SILENCE_PENALTY = -30.0  # nepers, of silence in a frame that is not silent


@lru_cache(maxsize=1)
def _decoder() -> Any:
    """PocketSphinx' decoder, one for each process.

    Raises:
        MissingExtra: PocketSphinx is not installed.
    """
    return import_optional("pocketsphinx").Decoder(loglevel="FATAL")


def align_speech(audio: Audio, text: str) -> list[Segment]:
    """Forced alignment of English speech by its transcript: phones in time; none if the words do not fit the audio.

    Words that are not in the dictionary are left out.

    Raises:
        MissingExtra: PocketSphinx is not installed.
    """
    decoder, samples = _decoder(), resample(audio, RATE).samples
    scaled = samples * (PEAK * 32_767 / max(0.05, float(np.abs(samples).max(initial=0.0))))
    pcm = scaled.astype(np.int16).tobytes()
    letters = "".join(letter for letter in text.lower() if letter.isalpha() or letter in "' \n\t")
    words = " ".join(word for word in letters.split() if decoder.lookup_word(word) is not None)
    if not words:
        return []
    try:
        decoder.set_align_text(words)
        _decode(decoder, pcm)
        decoder.set_alignment()
        _decode(decoder, pcm)
        alignment = decoder.get_alignment()
    except RuntimeError:
        return []
    finally:
        decoder.activate_search()
    phones = [phone for word in alignment or () for phone in word]
    return [Segment(from_arpabet(phone.name), phone.start, phone.start + phone.duration) for phone in phones]


def _decode(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    try:
        decoder.process_raw(pcm, full_utt=True)
    finally:
        decoder.end_utt()


@lru_cache(maxsize=1)
def dictionary() -> list[str]:
    """English words, from PocketSphinx' pronouncing dictionary.

    Raises:
        MissingExtra: PocketSphinx is not installed.
    """
    path = Path(import_optional("pocketsphinx").get_model_path("en-us/cmudict-en-us.dict"))
    words = (line.split(maxsplit=1)[0] for line in path.read_text(encoding="utf-8").splitlines() if line)
    return [word for word in words if word.isalpha()]


def force_align(log_posteriors: Tensor, phones: Sequence[int], non_silent: NDArray[np.bool_]) -> list[Segment]:
    """CTC forced alignment of a phone sequence in singing, with silence wherever it is quiet enough.

    Args:
        log_posteriors: (N, 39) of PHONES.
        phones: indices into PHONES. Between two of the same there has to be silence.
        non_silent: (N,) frames that are no silence: without them a long vowel is taken for one, and learnt as one.

    Returns:
        A segment for each; none if there are more phones than frames.
    """
    from torchaudio.functional import forced_align, merge_tokens

    repeats = sum(one == other for one, other in pairwise(phones))
    if not phones or len(phones) + repeats > len(log_posteriors):
        return []
    targets = torch.tensor([list(phones)], dtype=torch.int32)
    possible = log_posteriors.float().cpu().clone(memory_format=torch.contiguous_format)
    possible[torch.from_numpy(non_silent), SILENCE] += SILENCE_PENALTY
    path, scores = forced_align(possible[None], targets, blank=SILENCE)
    return [Segment((PHONES[span.token],), span.start, span.end) for span in merge_tokens(path[0], scores[0], SILENCE)]
