"""Which sound is where: in English speech by PocketSphinx, an optional tool of training, in song by our own model.

Of speech, what is said is heard first, with a language model, unless a transcript is given; then the words are aligned.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.phonetics.phones import PHONES, SILENCE, Segment, of_arpabet
from svc.utils.optional import extra

RATE = 16_000
PEAK = 0.7  # of full scale, to which a recording is brought
IMPROBABLE = -30.0  # nepers, of silence in a loud frame


class Aligner:
    """The decoder; one a process."""

    def __init__(self) -> None:
        self._decoder: Any = extra("pocketsphinx").Decoder(loglevel="FATAL")

    def align(self, audio: Audio, text: str = "") -> list[Segment]:
        """Sounds in time; none if nothing is understood.

        Args:
            audio: any rate.
            text: what is said, if it is known; words that are in no dictionary are left out.
        """
        samples = resample(audio, RATE).samples
        scaled = samples * (PEAK * 32_767 / max(0.05, float(np.abs(samples).max(initial=0.0))))
        heard = scaled.astype(np.int16).tobytes()
        words = self._known(text) if text else self._heard(heard)
        return self._aligned(heard, words) if words else []

    def _known(self, text: str) -> str:
        words = [
            "".join(letter for letter in word.lower() if letter.isalpha() or letter == "'") for word in text.split()
        ]
        return " ".join(word for word in words if word and self._decoder.lookup_word(word) is not None)

    def _heard(self, heard: bytes) -> str:
        self._decoder.activate_search()
        self._decode(heard)
        found = self._decoder.hyp()
        return str(found.hypstr) if found else ""

    def _aligned(self, heard: bytes, words: str) -> list[Segment]:
        try:
            self._decoder.set_align_text(words)
            self._decode(heard)
            self._decoder.set_alignment()
            self._decode(heard)
            found = self._decoder.get_alignment()
        except RuntimeError:
            return []  # the words do not fit the sound
        finally:
            self._decoder.activate_search()
        return [
            Segment(of_arpabet(phone.name), phone.start, phone.start + phone.duration)
            for word in found or ()
            for phone in word
        ]

    def _decode(self, heard: bytes) -> None:
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(heard, full_utt=True)
        finally:
            self._decoder.end_utt()


@lru_cache(maxsize=1)
def aligner() -> Aligner:
    """The decoder of this process.

    Raises:
        MissingExtra: PocketSphinx is not installed.
    """
    return Aligner()


@lru_cache(maxsize=1)
def dictionary() -> list[str]:
    """English words, from PocketSphinx' pronouncing dictionary.

    Raises:
        MissingExtra: PocketSphinx is not installed.
    """
    path = Path(extra("pocketsphinx").get_model_path("en-us/cmudict-en-us.dict"))
    words = (line.split(maxsplit=1)[0] for line in path.read_text(encoding="utf-8").splitlines() if line)
    return [word for word in words if word.isalpha()]


def align_sung(posteriors: Tensor, sounds: Sequence[int], loud: NDArray[np.bool_]) -> list[Segment]:
    """The most likely times of sounds that are sung in a known order, with silence wherever it is quiet enough.

    Args:
        posteriors: log probabilities (N, 39) of PHONES.
        sounds: numbers of PHONES. A sound that comes twice is held to fall silent in between.
        loud: (N,) frames that are no silence: without them a held vowel passes for one, and is learned as one.

    Returns:
        A segment for each; none if there are more sounds than frames.
    """
    from torchaudio.functional import forced_align, merge_tokens

    repeats = sum(one == other for one, other in pairwise(sounds))
    if not sounds or len(sounds) + repeats > len(posteriors):
        return []
    targets = torch.tensor([list(sounds)], dtype=torch.int32)
    possible = posteriors.float().cpu().clone(memory_format=torch.contiguous_format)
    possible[torch.from_numpy(loud), SILENCE] += IMPROBABLE
    path, scores = forced_align(possible[None], targets, blank=SILENCE)
    return [Segment((PHONES[span.token],), span.start, span.end) for span in merge_tokens(path[0], scores[0], SILENCE)]
