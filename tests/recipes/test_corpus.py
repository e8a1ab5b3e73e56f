"""Recordings with their texts, in several voices, cut up the same way every time."""

import ctypes.util
from pathlib import Path

import numpy as np
import pytest
from phonetics import corpus
from phonetics.phones import NUMBER, UNKNOWN

from svc.audio.files import Audio, write
from svc.errors import DataError
from svc.features.cache import FeatureCache

RATE = 24_000


def note(path: Path, seconds: float = 1.5, pitch: float = 220.0) -> None:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 15))
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Audio((0.05 * tone).astype(np.float32), RATE))


@pytest.fixture
def singing(tmp_path) -> Path:
    for name in ("a.wav", "b.wav"):
        note(tmp_path / "bank" / name, pitch=200.0 if name < "b" else 300.0)
    (tmp_path / "bank" / "index.csv").write_text("path,text\na.wav,[A3] かき\nb.wav,がぎ_ga-gi\n", encoding="utf-8")
    return tmp_path


def test_texts_are_found_in_three_layouts(tmp_path):
    note(tmp_path / "ls" / "84" / "121" / "84-121-0000.flac")
    (tmp_path / "ls" / "84" / "121" / "84-121.trans.txt").write_text("84-121-0000 GO DO YOU HEAR\n", encoding="utf-8")
    note(tmp_path / "lj" / "wavs" / "LJ001-0001.wav")
    (tmp_path / "lj" / "metadata.csv").write_text("LJ001-0001|in 1455|in fourteen fifty-five\n", encoding="utf-8")
    note(tmp_path / "plain" / "x" / "y.wav")
    note(tmp_path / "all" / "kumi" / "x.wav")
    (tmp_path / "all" / "index.csv").write_text("path,singer,text\nkumi/x.wav,kumi,かき\n", encoding="utf-8")
    folders = [tmp_path / name for name in ("ls", "lj", "all/kumi", "plain")]
    result = {path.name: text for folder in folders for path, text in corpus.find_recordings(folder)}
    assert result["84-121-0000.flac"] == "GO DO YOU HEAR"
    assert result["LJ001-0001.wav"] == "in fourteen fifty-five"
    assert result["x.wav"] == "かき"
    assert result["y.wav"] == ""


def test_song_is_prepared_and_what_is_not_audio_rejected(singing):
    (singing / "bank" / "broken.wav").write_bytes(b"not audio")
    utterances, rejected = corpus.prepare([singing / "bank"], singing / "out", jobs=1)
    assert [Path(u.path).name for u in utterances] == ["a.wav", "b.wav"]
    assert utterances[0].syllables == ((NUMBER["k"], NUMBER["a"]), (NUMBER["k"], NUMBER["i"]))
    assert [u.is_held_out for u in utterances] == [False, True]  # strings on g are kept for measuring
    assert any("broken.wav" in reason for reason in rejected)
    store = FeatureCache(singing / "out" / "store")
    audio, labels = (store.get(utterances[0].key, name) for name in ("audio", "labels"))
    assert audio.shape == (corpus.VOICES, 24_000)
    assert utterances[0].frames == 150
    assert (labels == UNKNOWN).all()
    assert corpus.read_prepared(singing / "out") == utterances
    voices = audio.astype(float)
    assert all(abs(np.corrcoef(voices[0], voices[k])[0, 1]) < 0.9 for k in (1, 2))


def test_nothing_to_prepare_is_one_line(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        corpus.prepare([tmp_path / "none"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recordings"):
        corpus.prepare([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(DataError, match="prepare the recordings again"):
        corpus.read_prepared(tmp_path)


@pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="espeak-ng is not installed")
def test_synthetic_speech_is_labelled(singing):
    pytest.importorskip("pocketsphinx")
    utterances, _ = corpus.prepare([singing / "bank"], singing / "out", synthetic=3, jobs=1)
    created = [utterance for utterance in utterances if utterance.is_synthetic]
    assert len(created) == 3
    for utterance in created:
        labels = FeatureCache(singing / "out" / "store").get(utterance.key, "labels")
        assert (labels > 0).mean() > 0.5
        assert len(labels) == utterance.frames
