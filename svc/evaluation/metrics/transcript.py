"""Words kept, by what a speech recogniser makes of a source and of an output, one beside the other.

Recognisers mishear singing, most of all held notes: an error rate alone says little, its rise over the source's much.
"""

import math
import re
import string
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.errors import DataError, WeightsError
from svc.evaluation.metrics.content import levelled
from svc.utils.optional import extra

SPHINX = "sphinx"
DASHES = "[-‐‑–—]"
MOST_WORDS = 1000  # to choose from; the time it takes grows with them

RATE = 16_000  # Hz
NEEDED = "model.bin", "tokenizer.json"  # faster-whisper would download a missing tokenizer


class Transcriber(ABC):
    """Writes down what is sung; the same recording always gives the same text."""

    @abstractmethod
    def transcribe(self, audio: Audio) -> str:
        """The words of a recording at any rate."""


def transcriber(name: str, language: str, vocabulary: Iterable[str]) -> Transcriber | None:
    """PocketSphinx by the name ``sphinx``, Whisper by a size or a folder, nobody without a name.

    Raises:
        DataError: there is no such model or language, its library is missing, or there are no words to listen for.
        WeightsError: the weights are not there, incomplete or damaged.
    """
    if name.lower() == SPHINX:
        return Sphinx(vocabulary, language)
    return Whisper(name, language) if name else None


class Sphinx(Transcriber):
    """The words of the songs' texts in any order, by the English acoustic model that comes with PocketSphinx.

    It chooses among so few words that it understands singing, and knows a great many speakers, so that it takes
    nobody's formants for words.

    Args:
        vocabulary: words to listen for; those that its dictionary does not know are never heard.
        language: sung in.

    Raises:
        DataError: it knows none of the words, or not the language, there are too many, or a library is missing.
    """

    insertion = 1e-4  # probability of another word: on 48 real songs .02 of them too many, .03 missed, .18 mistaken
    beams: ClassVar = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60}  # a held vowel is unlikely for long

    def __init__(self, vocabulary: Iterable[str], language: str = "en"):
        if language != "en":
            raise DataError(f"--transcribe {SPHINX}: knows English alone, not {language}; give a size of Whisper's")
        words = sorted(set(vocabulary))
        if len(words) > MOST_WORDS:
            told = f"{len(words)} different words beside the songs, of which it can tell {MOST_WORDS} apart"
            raise DataError(f"--transcribe {SPHINX}: {told}; judge fewer songs at once")
        sphinx = extra("pocketsphinx")
        extra("jiwer")  # needed later
        self._decoder = sphinx.Decoder(
            lm=None, cmn="batch", bestpath=False, wip=self.insertion, loglevel="FATAL", **self.beams
        )
        self.known = [word for word in words if self._decoder.lookup_word(word)]
        if not self.known:
            raise DataError(
                f"--transcribe {SPHINX}: no English words to listen for; put <song>.txt beside songs, or use Whisper"
            )
        self._decoder.add_jsgf_string(
            "words", f"#JSGF V1.0; grammar words; public <text> = ({' | '.join(self.known)})+;"
        )
        self._decoder.activate_search("words")

    def transcribe(self, audio: Audio) -> str:
        """The likeliest of all orders of the words, each as often as one likes."""
        samples = (levelled(audio).samples * 20_000).astype(np.int16)
        if not len(samples):
            return ""
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(samples.tobytes(), full_utt=True)
        finally:
            self._decoder.end_utt()
        heard = self._decoder.hyp()
        return heard.hypstr if heard else ""


def vocabulary(texts: Iterable[str]) -> list[str]:
    """The words of texts, each once, in lower case: letters and apostrophes, as English dictionaries have them."""
    plain = " ".join(texts).lower().replace("’", "'")
    tokens = {token.strip(string.punctuation + "…“”„‘«»¡¿") for token in re.split(rf"\s+|{DASHES}", plain)}
    return sorted(token for token in tokens if re.fullmatch("[a-z]+(?:'[a-z]+)*", token))


class Whisper(Transcriber):
    """Whisper (2212.04356) on the CPU, by beam search without sampling.

    Args:
        model: a size, such as ``small``, that is in the cache already, or a folder in CTranslate2's format.
        language: sung in, as a code: guessing could differ between a source and its output.

    Raises:
        DataError: there is no such model or language, or the library is missing.
        WeightsError: the weights are not there, incomplete or damaged; they are never downloaded.
    """

    def __init__(self, model: str = "small", language: str = "en"):
        whisper = extra("faster_whisper", "asr")
        extra("jiwer", "asr")  # needed later
        folder = _find(whisper, model)
        try:
            self._model = whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
        except Exception as error:  # tokenizers raises just that
            raise WeightsError(
                f"{folder}: not a Whisper model in CTranslate2's format ({error}); fetch it again"
            ) from None
        if language not in self._model.supported_languages:
            known = ", ".join(self._model.supported_languages)
            raise DataError(f"{language}: not a language of the Whisper model {model}; give one of {known}")
        self.language = language

    def transcribe(self, audio: Audio) -> str:
        """The words of a recording; nothing is carried over from one window of 30 s to the next."""
        segments, _ = self._model.transcribe(
            resample(audio, RATE).samples, language=self.language, temperature=0.0, condition_on_previous_text=False
        )
        return "".join(segment.text for segment in segments).strip()


def _find(whisper: Any, model: str) -> Path:
    """The folder of a model."""
    from huggingface_hub.constants import HF_HUB_CACHE

    fetch = f'fetch it with `python -c "import faster_whisper; faster_whisper.download_model({model!r})"`'
    folder = Path(model)
    if not folder.is_dir():
        try:
            folder = Path(whisper.download_model(model, local_files_only=True))
        except ValueError:
            known = ", ".join(whisper.available_models())
            raise DataError(f"{model}: no such Whisper model or folder; give {SPHINX}, or one of {known}") from None
        except OSError:
            raise WeightsError(
                f"Whisper {model} is not in {HF_HUB_CACHE}; {fetch} or give the path of its folder"
            ) from None
    for name in NEEDED:
        if not (folder / name).is_file():
            raise WeightsError(f"{folder}: {name} is missing; download or copy the whole model again")
    return folder


def error_rates(reference: str, hypothesis: str) -> dict[str, float]:
    """Errors of letters (``cer``) and words (``wer``) per letter and word of a reference.

    Letter case, punctuation, hyphens and the kind of white space do not count. NaN where the reference is empty.
    """
    jiwer = extra("jiwer")
    plain = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.SubstituteRegexes({DASHES: " "}),
            jiwer.RemovePunctuation(),
            jiwer.RemoveWhiteSpace(replace_by_space=True),
            jiwer.RemoveMultipleSpaces(),
            jiwer.Strip(),
        ]
    )
    reference, hypothesis = plain(reference), plain(hypothesis)
    if not reference:
        return {"cer": math.nan, "wer": math.nan}
    return {"cer": jiwer.cer(reference, hypothesis), "wer": jiwer.wer(reference, hypothesis)}


def transcript_errors(from_output: str, from_source: str, text: str | None = None) -> dict[str, float]:
    """Error rates of an output.

    Args:
        from_output: transcript of the output.
        from_source: of what it was made of.
        text: the words sung, where they are known.

    Returns:
        with the words: ``cer`` and ``wer`` of the output, ``cer_source`` and ``wer_source`` of the source, and
        ``cer_difference`` and ``wer_difference``, the first less the second. Without: ``cer_to_source`` and
        ``wer_to_source``, of the output's transcript against the source's.
    """
    if text is None:
        return {f"{name}_to_source": rate for name, rate in error_rates(from_source, from_output).items()}
    made, given = error_rates(text, from_output), error_rates(text, from_source)
    scores = made | {f"{name}_source": rate for name, rate in given.items()}
    return scores | {f"{name}_difference": made[name] - given[name] for name in made}
