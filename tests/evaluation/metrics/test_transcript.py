"""Transcripts: each recording is heard for itself, and the counts are those of a hand."""

import ctypes.util
import math
import socket
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.errors import DataError, WeightsError
from svc.evaluation.evaluator import Heard
from svc.evaluation.metrics.transcript import Sphinx, Whisper, error_rates, transcriber, transcript_errors, vocabulary

SOURCE, OUTPUT = (Audio(np.full(4800, level, dtype=np.float32), 16_000) for level in (0.1, 0.2))
WORDS = "The cat sat\non the mat."


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


class Hearing:
    """Hears in a recording what it was told to, by its level."""

    def __init__(self, source: str, output: str):
        self.texts = {0.1: source, 0.2: output}
        self.heard = []

    def transcribe(self, audio: Audio) -> str:
        self.heard.append(audio)
        return self.texts[round(float(audio.samples[0]), 1)]


def errors_of(hearing, text=None):
    """As a panel finds them, which listens with nothing but these ears."""
    output, source = (Heard(audio, SimpleNamespace(transcriber=hearing)) for audio in (OUTPUT, SOURCE))
    return transcript_errors(output.transcript, source.transcript, text)


def test_every_recording_is_heard_for_itself():
    pytest.importorskip("jiwer")
    hearing = Hearing("the cat sat on a mat", "the bat sat on a mat")
    assert errors_of(hearing, WORDS) == pytest.approx(
        {
            "cer": 4 / 22,
            "wer": 2 / 6,
            "cer_source": 3 / 22,
            "wer_source": 1 / 6,
            "cer_difference": 1 / 22,
            "wer_difference": 1 / 6,
        }
    )
    assert errors_of(hearing) == pytest.approx({"cer_to_source": 1 / 20, "wer_to_source": 1 / 6})


def test_each_recording_is_transcribed_once():
    hearing = Hearing("a", "b")
    heard = Heard(SOURCE, SimpleNamespace(transcriber=hearing))
    assert [heard.transcript, heard.transcript] == ["a", "a"]
    assert hearing.heard == [SOURCE]


def test_an_output_may_be_clearer_than_its_source():
    pytest.importorskip("jiwer")
    errors = errors_of(Hearing("the cat sat", "the cat sat on the mat"), WORDS)
    assert (errors["wer"], errors["wer_source"], errors["wer_difference"]) == (0, 0.5, -0.5)
    assert errors_of(Hearing("the cat sat", "the cat sat on the mat"))["wer_to_source"] == 1


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
    pytest.importorskip("jiwer")
    assert error_rates(reference, hypothesis) == {"cer": cer, "wer": wer}


@pytest.mark.parametrize("nothing", ["", " \n", "…!"])
def test_there_is_no_rate_of_nothing(nothing):
    pytest.importorskip("jiwer")
    assert all(math.isnan(rate) for rate in error_rates(nothing, "la la").values())
    errors = errors_of(Hearing(nothing, "la"))
    assert set(errors) == {"cer_to_source", "wer_to_source"}
    assert all(math.isnan(rate) for rate in errors.values())


class FakeModel:
    """Stands in for faster_whisper.WhisperModel."""

    supported_languages = ("en", "de")

    def __init__(self, folder, **options):
        self.made = (folder, options)
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


def test_whisper_hears_16_khz_the_same_way_every_time(whisper, tmp_path):
    transcriber = Whisper(language="de")
    time = np.arange(44_100) / 44_100
    heard = transcriber.transcribe(Audio(np.sin(2 * np.pi * 440 * time).astype(np.float32), 44_100))
    assert heard == "Hello, world."
    assert transcriber._model.made == (
        str(tmp_path),
        {"device": "cpu", "compute_type": "int8", "local_files_only": True},
    )
    ((samples, options),) = transcriber._model.calls
    assert (samples.shape, samples.dtype) == ((16_000,), np.float32)
    assert np.abs(np.fft.rfft(samples)).argmax() == 440
    assert options == {"language": "de", "temperature": 0.0, "condition_on_previous_text": False}


def test_a_folder_of_weights(whisper, tmp_path):
    assert Whisper(str(tmp_path))._model.made[0] == str(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    for model in ("small", str(tmp_path)):
        with pytest.raises(WeightsError, match=rf"^{tmp_path}: tokenizer\.json is missing; download or copy the whole"):
            Whisper(model)


def test_absent_weights(whisper):
    with pytest.raises(
        WeightsError, match=r"^Whisper large is not in .*; fetch it with `.*download_model\('large'\)\""
    ):
        Whisper("large")
    with pytest.raises(
        DataError, match=r"^huge: no such Whisper model or folder; give sphinx, or one of small, large$"
    ):
        Whisper("huge")
    with pytest.raises(DataError, match=r"^xx: not a language of the Whisper model small; give one of en, de$"):
        Whisper(language="xx")


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(DataError, match=r"faster_whisper is not installed; run `pip install -e '\.\[asr\]'"):
        Whisper()


def test_the_real_library_asks_nobody(monkeypatch, tmp_path):
    pytest.importorskip("faster_whisper")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=rf"^Whisper small is not in {tmp_path}; "):
        Whisper()
    with pytest.raises(
        DataError, match=r"^huge: no such Whisper model or folder; give sphinx, or one of tiny.en, tiny, "
    ):
        Whisper("huge")
    with pytest.raises(DataError, match=r"no such Whisper model or folder"):
        Whisper(str(tmp_path / "absent"))
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"junk")
    with pytest.raises(WeightsError, match=rf"^{tmp_path}: not a Whisper model in CTranslate2's format "):
        Whisper(str(tmp_path))


TEXT = "the cats are sitting by the open window"


@pytest.fixture(scope="module")
def sphinx():
    pytest.importorskip("pocketsphinx")
    return Sphinx(vocabulary([TEXT, "Dogs talking, behind the door"]))


@pytest.fixture(scope="module")
def spoken():
    """A sentence by three voices."""
    if ctypes.util.find_library("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    from svc.phonetics.espeak import espeak

    return {voice: espeak().say(TEXT, voice, words=140)[0] for voice in ("en-us+f2", "en-us+f3", "en-us+f5")}


class TestSphinx:
    """It writes down the words it was told of, whoever says them, and no others."""

    def test_it_hears_words_and_not_singers(self, sphinx, spoken):
        for audio in spoken.values():  # two short words of eight may be missed: this synthesiser is no human being
            assert error_rates(TEXT, sphinx.transcribe(audio))["wer"] <= 2 / 8
            backwards = Audio(audio.samples[::-1].copy(), audio.rate)
            assert error_rates(TEXT, sphinx.transcribe(backwards))["wer"] > 6 / 8

    def test_what_was_heard_before_does_not_matter(self, sphinx, spoken):
        audio, *others = spoken.values()
        alone = sphinx.transcribe(audio)
        noise = np.random.default_rng(0).normal(0, 0.3, 20_000).astype(np.float32)
        for other in (*others, Audio(noise, 24_000), Audio(np.zeros(2400, dtype=np.float32), 24_000)):
            sphinx.transcribe(other)
            assert sphinx.transcribe(audio) == alone
        assert sphinx.transcribe(Audio(audio.samples * np.float32(0.01), audio.rate)) == alone

    def test_words_that_are_not_among_the_texts_are_never_heard(self, spoken):
        pytest.importorskip("pocketsphinx")
        few = ["open", "sitting"]
        heard = Sphinx(few).transcribe(spoken["en-us+f2"])
        assert set(heard.split()) == set(few)

    def test_nothing_to_listen_for(self):
        pytest.importorskip("pocketsphinx")
        with pytest.raises(DataError, match=r"no English words to listen for; put <song>\.txt beside songs"):
            transcriber("sphinx", "en", ["xqzzy"])
        with pytest.raises(DataError, match="knows English alone, not de"):
            transcriber("Sphinx", "de", ["dogs"])
        with pytest.raises(DataError, match="1001 different words beside the songs, of which it can tell 1000 apart"):
            transcriber("sphinx", "en", [f"word{n}" for n in range(1001)])

    def test_of_nothing_it_hears_nothing(self, sphinx, spoken):
        assert sphinx.transcribe(Audio(np.zeros(0, dtype=np.float32), 24_000)) == ""
        assert sphinx.transcribe(spoken["en-us+f2"])

    def test_nobody_transcribes_unless_asked(self):
        assert transcriber("", "en", ["dogs"]) is None


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["Don’t STOP, don't\nstop!", "stop"], ["don't", "stop"]),
        (["a|b (c)+ ;public <x> = evil;"], ["c", "evil", "public", "x"]),
        (["ding-dong—bells", "naïve café 4th don`t"], ["bells", "ding", "dong"]),
        (["'tis the cats' 99 — ", ""], ["cats", "the", "tis"]),
        ([], []),
    ],
)
def test_vocabulary(texts, words):
    assert vocabulary(texts) == words
