"""Word and character error rates (WER, CER) of ASR transcripts of an output and of its source.

ASR makes many errors on singing, most of all on held notes: compare the error rates of the output with those of the
source.
"""

import math
from pathlib import Path
from typing import Any

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.errors import DataError, WeightsError
from svc.utils.optional import import_optional

RATE = 16_000  # Hz
DASHES = "[-‐‑–—]"
REQUIRED_FILES = "model.bin", "tokenizer.json"  # faster-whisper would download a missing tokenizer


class WhisperASR:
    """Whisper (Radford et al. 2212.04356) on the CPU by faster-whisper, beam search without sampling.

    Args:
        model: a size such as ``small`` that is in the cache already, or a folder in CTranslate2's format.
        language: language code; detection could differ between a source and its output.

    Raises:
        DataError: no such model or language, or a library is not installed.
        WeightsError: the weights are missing, incomplete or damaged; they are never downloaded.
    """

    def __init__(self, model: str = "small", language: str = "en"):
        whisper = import_optional("faster_whisper", "asr")
        import_optional("jiwer", "asr")  # needed later
        folder = _find(whisper, model)
        try:
            self._model = whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
        except Exception as error:  # tokenizers raises just that
            raise WeightsError(f"{folder}: not a Whisper model of CTranslate2 ({error}); fetch it again") from None
        if language not in self._model.supported_languages:
            languages = ", ".join(self._model.supported_languages)
            raise DataError(f"{language}: not a language of the Whisper model {model}; choose one of {languages}")
        self.language = language

    def transcribe(self, audio: Audio) -> str:
        """Transcript of a recording at any rate; windows of 30 s are decoded independently."""
        segments, _ = self._model.transcribe(
            resample(audio, RATE).samples, language=self.language, temperature=0.0, condition_on_previous_text=False
        )
        return "".join(segment.text for segment in segments).strip()


def _find(whisper: Any, model: str) -> Path:
    """Folder of a Whisper model."""
    folder = Path(model)
    if not folder.is_dir():
        try:
            folder = Path(whisper.download_model(model, local_files_only=True))
        except ValueError:
            sizes = ", ".join(whisper.available_models())
            raise DataError(f"--asr {model}: no such Whisper model or folder; give one of {sizes}") from None
        except OSError:
            fetch = f'python -c "import faster_whisper; faster_whisper.download_model({model!r})"'
            raise WeightsError(
                f"Whisper {model} is not in the cache; fetch it with `{fetch}` or give its folder"
            ) from None
    for name in REQUIRED_FILES:
        if not (folder / name).is_file():
            raise WeightsError(f"{folder}: {name} is missing; download or copy the whole model again")
    return folder


def error_rates(reference: str, hypothesis: str) -> dict[str, float]:
    """Character and word error rates ``cer`` and ``wer`` of a hypothesis.

    Case, punctuation, hyphens and kinds of white space are ignored. NaN if the reference is empty.
    """
    jiwer = import_optional("jiwer", "asr")
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
    """Error rates of the transcript of an output, beside that of its source, or against the lyrics.

    Returns:
        With the lyrics: ``cer`` and ``wer`` of the output, and ``cer_difference`` and ``wer_difference``, minus those
        of the source. Without: ``cer_to_source`` and ``wer_to_source``, against the source's transcript.
    """
    if text is None:
        return {f"{name}_to_source": rate for name, rate in error_rates(from_source, from_output).items()}
    output, source = error_rates(text, from_output), error_rates(text, from_source)
    return output | {f"{name}_difference": output[name] - source[name] for name in output}
