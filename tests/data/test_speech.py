"""Recordings with their texts, in several voices, cut up the same way every time."""

import ctypes.util
from pathlib import Path

import numpy as np
import pytest

from svc.audio.files import Audio, write
from svc.data import speech
from svc.data.phones import NUMBER, UNKNOWN
from svc.data.sounds import Sounds
from svc.errors import DataError
from svc.features.store import Store

RATE = 24_000


def note(path: Path, seconds: float = 1.5, pitch: float = 220.0) -> None:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 15))
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Audio((0.05 * tone).astype(np.float32), RATE))


@pytest.fixture
def sung(tmp_path) -> Path:
    for name in ("a.wav", "b.wav"):
        note(tmp_path / "bank" / name, pitch=200.0 if name < "b" else 300.0)
    (tmp_path / "bank" / "index.csv").write_text("path,text\na.wav,[A3] かき\nb.wav,がぎ_ga-gi\n", encoding="utf-8")
    return tmp_path


def test_texts_are_found_in_three_layouts(tmp_path):
    note(tmp_path / "ls" / "84" / "121" / "84-121-0000.flac")
    (tmp_path / "ls" / "84" / "121" / "84-121.trans.txt").write_text("84-121-0000 GO DO YOU HEAR\n", encoding="utf-8")
    note(tmp_path / "lj" / "wavs" / "LJ1.wav")
    (tmp_path / "lj" / "metadata.csv").write_text("LJ1|in 1455|in fourteen fifty-five\n", encoding="utf-8")
    note(tmp_path / "all" / "kumi" / "x.wav")
    (tmp_path / "all" / "index.csv").write_text("path,singer,text\nkumi/x.wav,kumi,かき\n", encoding="utf-8")
    found = {path.name: text for place in ("ls", "lj", "all/kumi") for path, text in speech._find(tmp_path / place)}
    assert found["84-121-0000.flac"] == "GO DO YOU HEAR"
    assert found["LJ1.wav"] == "in fourteen fifty-five"
    assert found["x.wav"] == "かき"


def test_song_is_prepared_and_what_is_not_audio_rejected(sung):
    (sung / "bank" / "broken.wav").write_bytes(b"not audio")
    utterances, rejected = speech.prepare([sung / "bank"], sung / "out", jobs=1)
    assert [Path(u.path).name for u in utterances] == ["a.wav", "b.wav"]
    assert utterances[0].syllables == ((NUMBER["k"], NUMBER["a"]), (NUMBER["k"], NUMBER["i"]))
    assert [u.held for u in utterances] == [False, True]  # strings on g are kept for measuring
    assert any("broken.wav" in reason for reason in rejected)
    store = Store(sung / "out" / "store")
    audio, labels = (store.get(utterances[0].key, name) for name in ("audio", "labels"))
    assert audio.shape == (speech.VOICES, 24_000)
    assert utterances[0].frames == 150
    assert (labels == UNKNOWN).all()
    assert speech.read_prepared(sung / "out") == utterances


def test_other_voices_are_other_and_again_the_same(sung):
    utterances, _ = speech.prepare([sung / "bank"], sung / "out", jobs=1)
    again, _ = speech.prepare([sung / "bank"], sung / "again", jobs=1)
    assert utterances == again
    one, other = (Store(sung / name / "store").get(utterances[0].key, "audio") for name in ("out", "again"))
    np.testing.assert_array_equal(one[0], other[0])
    assert (one == other).mean() > 0.9  # Praat's ends are not the same every time
    voices = one.astype(float)
    assert all(abs(np.corrcoef(voices[0], voices[k])[0, 1]) < 0.9 for k in (1, 2))


def test_crops_are_functions_of_seed_and_step(sung):
    utterances, _ = speech.prepare([sung / "bank"], sung / "out", jobs=1)
    sounds = Sounds(sung / "out", utterances, 64)
    one, same, other = (sounds.batch(0, step, 1, 2, 0, {}) for step in (3, 3, 4))
    assert one.audio.shape == (4, 64 * 160)
    assert one.pairs == 2
    assert (one.audio == same.audio).all()
    assert not (one.audio == other.audio).all()
    known = {u.key: np.full(u.frames, 7) for u in utterances}
    assert set(sounds.batch(0, 3, 0, 2, 0, known).labels.unique().tolist()) <= {7, UNKNOWN}


def test_nothing_to_prepare_is_told(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        speech.prepare([tmp_path / "none"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recordings"):
        speech.prepare([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(DataError, match="prepare the recordings again"):
        speech.read_prepared(tmp_path)


@pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng is not installed")
def test_synthetic_speech_is_labelled(sung):
    pytest.importorskip("pocketsphinx")
    utterances, _ = speech.prepare([sung / "bank"], sung / "out", synthetic=3, jobs=1)
    made = [utterance for utterance in utterances if utterance.made]
    assert len(made) == 3
    for utterance in made:
        labels = Store(sung / "out" / "store").get(utterance.key, "labels")
        assert (labels > 0).mean() > 0.5
        assert len(labels) == utterance.frames
