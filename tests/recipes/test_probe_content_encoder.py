"""What is measured of content features, on a small RAVDESS of tones: low ones are words, high ones singers."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_recipes import recipe

from svc.audio.files import Audio, write
from svc.errors import SvcError
from svc.evaluation.metrics import f0 as f0_metric

RATE = 16_000
SINGERS = {"actor01": 4_000, "actor02": 5_000}  # Hz
SENTENCES = {"01": "aiuai", "02": "uaiua"}
QUIET = 10  # frames before and after what is spoken
TONES = {phone: 500 + 300 * number for number, phone in enumerate("aiugm")}


def sing(phones: str, singer: int, frames: int) -> np.ndarray:
    """A chord for each phone but silence, which fits into every frame, and a little noise."""
    time = np.arange(frames * len(phones) * 160) / RATE
    low = np.repeat([TONES.get(phone, 0) for phone in phones], frames * 160)
    tones = 0.1 * np.sin(2 * np.pi * low * time) + 0.05 * (low > 0) * np.sin(2 * np.pi * singer * time)
    return (tones + 1e-3 * np.random.default_rng(singer).standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    return recipe("probe_content_encoder")


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory) -> Path:
    """Two sentences in two emotions by two actors, of whom one takes more time; and what is not to be read."""
    data = tmp_path_factory.mktemp("ravdess")
    for actor, singer in SINGERS.items():
        for kind, code in (("speech", "01"), ("song", "02")):
            home = data / actor / kind
            home.mkdir(parents=True)
            for emotion, tempo in (("01", 9), ("02", 12)):
                for statement, phones in SENTENCES.items():
                    samples = sing(phones, singer, tempo + (3 if singer > 4_000 else 0))
                    quiet = np.zeros(QUIET * 160 if kind == "speech" else 0, dtype=np.float32)
                    name = f"03-{code}-{emotion}-01-{statement}-01-{actor[-2:]}.flac"
                    write(home / name, Audio(np.concatenate([quiet, samples, quiet]), RATE))
            for other in ("01-02-01-01", "01-01-01-02"):  # intense, and said again
                (home / f"03-{code}-{other}-{actor[-2:]}.flac").write_bytes(b"not audio")
    return data


def test_the_table(measure, ravdess, capsys):
    pytest.importorskip("parselmouth")
    measure.main(ravdess)
    head, line, *rows, last = capsys.readouterr().out.splitlines()
    assert last == "16 recordings of 2 actors"
    assert head == measure.HEAD
    cells = [[cell.strip(" *%") for cell in row.strip("| ").split("|")] for row in rows]
    assert [row[:2] for row in cells] == [
        [name, kind] for name in ("mfcc", "cepstral:cepstra") for kind in measure.KINDS
    ]
    assert {row.count("|") for row in (head, line, *rows)} == {9}
    for _, _, words, singer, ratio, pitch, *_ in cells:
        assert float(ratio) == pytest.approx(float(words) / float(singer), rel=0.03)
        assert float(ratio) < 1  # the words are the louder tone
        assert float(pitch) > 0.5  # and a shift moves it
    assert all(int(mean) == 100 and int(frame) > 90 for *_, mean, frame in cells[:2])  # nothing hides the singer


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        ("mel", r"--encoder mel: no layer; write NAME:LAYER, .*, or mfcc"),
        (
            "mel:cepstra",
            r"--encoder mel:cepstra: unknown; use mfcc, a file \*\.safetensors, or one of autoencoder, .*cepstral, .*",
        ),
        ("cepstral:words", r"--encoder cepstral:words: the layer must be one of cepstra, envelope"),
        ("x.safetensors:words", r"x\.safetensors: not found; give a file of train_phone_model\.py"),
    ],
)
def test_what_is_no_encoder_is_one_sentence_before_anything_is_measured(measure, ravdess, encoder, sentence, capsys):
    with pytest.raises(SvcError, match=f"^{sentence}$"):
        measure.main(ravdess, ["mfcc", encoder])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("semitones", [-5, 0, 12])
def test_a_voice_is_moved_by_semitones_and_stays_as_long(measure, semitones):
    pytest.importorskip("parselmouth")
    time = np.arange(12_345) / RATE
    note = sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 20))
    moved = measure.shifted(Audio((0.1 * note).astype(np.float32), RATE), semitones)
    assert moved.samples.shape == time.shape
    pitch = f0_metric.praat(moved)
    assert np.median(pitch[pitch > 0]) == pytest.approx(200 * 2 ** (semitones / 12), rel=0.005)
