"""Word and character error rates (WER, CER) of ASR transcripts of an output and of its source.

ASR makes many errors on singing, most of all on held notes: compare the error rates of the output with those of the
source.
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
from svc.evaluation.metrics.content import peak_normalise
from svc.utils.optional import import_optional

SPHINX = "sphinx"
DASHES = "[-‐‑–—]"
MAX_WORDS = 1000  # of a vocabulary; the time it takes grows with them

RATE = 16_000  # Hz
REQUIRED_FILES = "model.bin", "tokenizer.json"  # faster-whisper would download a missing tokenizer


class Transcriber(ABC):
    """Automatic speech recognition; deterministic."""

    @abstractmethod
    def transcribe(self, audio: Audio) -> str:
        """Transcript of a recording at any rate."""


def load_asr(name: str, language: str, vocabulary: Iterable[str]) -> Transcriber | None:
    """ASR by name: ``sphinx``, or the size or folder of a Whisper model; None for an empty name.

    Raises:
        DataError: no such model or language, a library is not installed, or the vocabulary is empty.
        WeightsError: the weights are missing, incomplete or damaged.
    """
    if name.lower() == SPHINX:
        return PocketSphinxASR(vocabulary, language)
    return WhisperASR(name, language) if name else None


class PocketSphinxASR(Transcriber):
    """PocketSphinx with a grammar of the words of the songs' texts in any order (English only).

    With so few words it copes with singing and with formant shifts.

    Args:
        vocabulary: words to recognise; those missing in PocketSphinx's dictionary are ignored.
        language: language code of the songs.

    Raises:
        DataError: no word is in the dictionary, there are too many, another language, or a library is not installed.
    """

    insertion = 1e-4  # probability of another word, tuned on 48 songs
    beams: ClassVar = {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60}  # wide, because long vowels are unlikely

    def __init__(self, vocabulary: Iterable[str], language: str = "en"):
        if language != "en":
            raise DataError(f"--asr {SPHINX}: supports English only, not {language}; use --asr with a Whisper size")
        words = sorted(set(vocabulary))
        if len(words) > MAX_WORDS:
            raise DataError(
                f"--asr {SPHINX}: {len(words)} different words, at most {MAX_WORDS}; evaluate fewer songs at once"
            )
        sphinx = import_optional("pocketsphinx")
        import_optional("jiwer")  # needed later
        self._decoder = sphinx.Decoder(
            lm=None, cmn="batch", bestpath=False, wip=self.insertion, loglevel="FATAL", **self.beams
        )
        self.words = [word for word in words if self._decoder.lookup_word(word)]
        if not self.words:
            raise DataError(
                f"--asr {SPHINX}: no English words to recognise; put <song>.txt beside the songs, or use Whisper"
            )
        self._decoder.add_jsgf_string(
            "words", f"#JSGF V1.0; grammar words; public <text> = ({' | '.join(self.words)})+;"
        )
        self._decoder.activate_search("words")

    def transcribe(self, audio: Audio) -> str:
        """The likeliest sequence of words of the vocabulary."""
        samples = (peak_normalise(audio).samples * 20_000).astype(np.int16)
        if not len(samples):
            return ""
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(samples.tobytes(), full_utt=True)
        finally:
            self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""


def extract_vocabulary(texts: Iterable[str]) -> list[str]:
    """Distinct words of texts in lower case, of letters and apostrophes as in English dictionaries."""
    plain = " ".join(texts).lower().replace("’", "'")
    tokens = {token.strip(string.punctuation + "…“”„‘«»¡¿") for token in re.split(rf"\s+|{DASHES}", plain)}
    return sorted(token for token in tokens if re.fullmatch("[a-z]+(?:'[a-z]+)*", token))


class WhisperASR(Transcriber):
    """Whisper (Radford et al. 2212.04356) on the CPU by faster-whisper, beam search without sampling.

    Args:
        model: a size such as ``small`` that is in the cache already, or a folder in CTranslate2's format.
        language: language code; detection could differ between a source and its output.

    Raises:
        DataError: no such model or language, or the library is not installed.
        WeightsError: the weights are missing, incomplete or damaged; they are never downloaded.
    """

    def __init__(self, model: str = "small", language: str = "en"):
        whisper = import_optional("faster_whisper", "asr")
        import_optional("jiwer", "asr")  # needed later
        folder = _find(whisper, model)
        try:
            self._model = whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
        except Exception as error:  # tokenizers raises just that
            raise WeightsError(
                f"{folder}: not a Whisper model in CTranslate2's format ({error}); fetch it again"
            ) from None
        if language not in self._model.supported_languages:
            languages = ", ".join(self._model.supported_languages)
            raise DataError(f"{language}: not a language of the Whisper model {model}; choose one of {languages}")
        self.language = language

    def transcribe(self, audio: Audio) -> str:
        """Transcript; windows of 30 s are decoded independently."""
        segments, _ = self._model.transcribe(
            resample(audio, RATE).samples, language=self.language, temperature=0.0, condition_on_previous_text=False
        )
        return "".join(segment.text for segment in segments).strip()


def _find(whisper: Any, model: str) -> Path:
    """Folder of a Whisper model."""
    from huggingface_hub.constants import HF_HUB_CACHE

    fetch = f'fetch it with `python -c "import faster_whisper; faster_whisper.download_model({model!r})"`'
    folder = Path(model)
    if not folder.is_dir():
        try:
            folder = Path(whisper.download_model(model, local_files_only=True))
        except ValueError:
            sizes = ", ".join(whisper.available_models())
            raise DataError(
                f"--asr {model}: no such Whisper model or folder; give {SPHINX}, or one of {sizes}"
            ) from None
        except OSError:
            raise WeightsError(
                f"Whisper {model} is not in {HF_HUB_CACHE}; {fetch} or give the path of its folder"
            ) from None
    for name in REQUIRED_FILES:
        if not (folder / name).is_file():
            raise WeightsError(f"{folder}: {name} is missing; download or copy the whole model again")
    return folder


def error_rates(reference: str, hypothesis: str) -> dict[str, float]:
    """Character and word error rates ``cer`` and ``wer`` of a hypothesis.

    Case, punctuation, hyphens and kinds of white space are ignored. NaN if the reference is empty.
    """
    jiwer = import_optional("jiwer")
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
    """Error rates of an output's transcript.

    Args:
        from_output: transcript of the output.
        from_source: transcript of the source.
        text: the lyrics, if available.

    Returns:
        with the lyrics: ``cer`` and ``wer`` of the output, ``cer_source`` and ``wer_source`` of the source, and
        ``cer_difference`` and ``wer_difference``, output minus source. Without: ``cer_to_source`` and
        ``wer_to_source``, of the output's transcript against the source's.
    """
    if text is None:
        return {f"{name}_to_source": rate for name, rate in error_rates(from_source, from_output).items()}
    output, source = error_rates(text, from_output), error_rates(text, from_source)
    scores = output | {f"{name}_source": rate for name, rate in source.items()}
    return scores | {f"{name}_difference": output[name] - source[name] for name in output}
