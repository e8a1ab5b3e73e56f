"""ASR transcripts: each recording is transcribed alone, and the error rates are those counted by hand."""

import math
import socket
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.errors import DataError, WeightsError
from svc.evaluation.metrics.transcript import WhisperASR, error_rates, transcript_errors

pytest.importorskip("jiwer")
WORDS = "The cat sat\non the mat."


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_errors_with_and_without_lyrics():
    output, source = "the bat sat on a mat", "the cat sat on a mat"
    expected = {"cer": 4 / 22, "wer": 2 / 6, "cer_difference": 1 / 22, "wer_difference": 1 / 6}
    assert transcript_errors(output, source, WORDS) == pytest.approx(expected)
    assert transcript_errors(output, source) == pytest.approx({"cer_to_source": 1 / 20, "wer_to_source": 1 / 6})


@pytest.mark.parametrize(
    ("reference", "hypothesis", "cer", "wer"),
    [
        ("It's a\tWONDERFUL,\n\n  wonderful life!", " it’s a wonderful wonderful life ", 0, 0),
        ("so long", "", 1, 1),
        ("la", "la la la", 3, 2),
        ("Ding-dong—bells", "ding dong bells", 0, 0),
        ("abcd", "abxd", 0.25, 1),
        ("Über Ñandú", "über ñandú", 0, 0),
    ],
)
def test_counts(reference, hypothesis, cer, wer):
    assert error_rates(reference, hypothesis) == {"cer": cer, "wer": wer}


@pytest.mark.parametrize("nothing", ["", " \n", "…!"])
def test_there_is_no_rate_of_nothing(nothing):
    assert all(math.isnan(rate) for rate in error_rates(nothing, "la la").values())
    errors = transcript_errors("la", nothing)
    assert set(errors) == {"cer_to_source", "wer_to_source"}
    assert all(math.isnan(rate) for rate in errors.values())


class FakeModel:
    """Stands in for faster_whisper.WhisperModel."""

    supported_languages = ("en", "de")

    def __init__(self, folder, **options):
        self.arguments = (folder, options)
        self.calls = []

    def transcribe(self, samples, **options):
        self.calls.append((samples, options))
        return iter([SimpleNamespace(text=" Hello,"), SimpleNamespace(text=" world. ")]), None


@pytest.fixture
def whisper(monkeypatch, tmp_path):
    """A faster_whisper whose cache holds the size ``small``."""
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / name).touch()

    def download_model(name, *, local_files_only):
        assert local_files_only
        if name == "small":
            return str(tmp_path)
        if name == "large":
            raise FileNotFoundError("outgoing traffic has been disabled")
        raise ValueError("Invalid model size")

    module = SimpleNamespace(
        WhisperModel=FakeModel, download_model=download_model, available_models=lambda: ["small", "large"]
    )
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    return module


def test_whisper_gets_16_khz(whisper, tmp_path):
    transcriber = WhisperASR(language="de")
    time = np.arange(44_100) / 44_100
    transcript = transcriber.transcribe(Audio(np.sin(2 * np.pi * 440 * time).astype(np.float32), 44_100))
    assert transcript == "Hello, world."
    assert transcriber._model.arguments == (
        str(tmp_path),
        {"device": "cpu", "compute_type": "int8", "local_files_only": True},
    )
    ((samples, options),) = transcriber._model.calls
    assert (samples.shape, samples.dtype) == ((16_000,), np.float32)
    assert np.abs(np.fft.rfft(samples)).argmax() == 440
    assert options == {"language": "de", "temperature": 0.0, "condition_on_previous_text": False}


def test_absent_weights(whisper):
    with pytest.raises(
        WeightsError, match=r"^Whisper large is not in .*; fetch it with `.*download_model\('large'\)\""
    ):
        WhisperASR("large")
    with pytest.raises(DataError, match=r"^--asr huge: no such Whisper model or folder; give one of small, large$"):
        WhisperASR("huge")
    with pytest.raises(DataError, match=r"^xx: not a language of the Whisper model small; choose one of en, de$"):
        WhisperASR(language="xx")
