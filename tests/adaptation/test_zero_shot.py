"""Zero-shot speakers: the map finds a linear relation, and only the base voice has one."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_cli import svc

from svc.adaptation import zero_shot
from svc.api import Voice
from svc.audio import files
from svc.errors import AudioError
from svc.inference import base_voice
from svc.inference.voice import VoiceFile
from svc.models.weight_names import EMBEDDING, SPEAKER_FILM_OFFSET


@pytest.fixture
def base(world, voice, monkeypatch):
    """The voice of the tests in the place of the base voice; its speakers have opposite encodings."""
    encodings = np.eye(2, 128, dtype=np.float16)
    path = world / "base_encodings.safetensors"
    save_file({"encodings": encodings, "embeddings": voice.weights[EMBEDDING].astype(np.float16)}, path)
    voice.save(world / "base.safetensors")
    monkeypatch.setattr(zero_shot, "ENCODINGS", path)
    for module in (zero_shot, base_voice):
        monkeypatch.setattr(module, "BASE_VOICE", world / "base.safetensors")
    zero_shot._base.cache_clear()
    yield encodings
    zero_shot._base.cache_clear()


def test_ridge_regression_finds_a_linear_relation():
    rng = np.random.default_rng(0)
    x, matrix, new = rng.normal(size=(200, 6)), rng.normal(size=(6, 3)), rng.normal(size=(4, 6))
    predicted = zero_shot.ridge_regression(x, x @ matrix + 5, new, ridge=1e-6)
    np.testing.assert_allclose(predicted, new @ matrix + 5, atol=1e-3)
    mean = np.tile((x @ matrix + 5).mean(axis=0), (4, 1))
    np.testing.assert_allclose(zero_shot.ridge_regression(x, x @ matrix + 5, new, ridge=1e9), mean, atol=1e-3)


def test_an_encoding_of_a_speaker_leads_towards_its_embedding(base, voice):
    ann, bob = voice.weights[EMBEDDING].astype(np.float64)
    params = zero_shot.map_encoding(base[0].astype(np.float64))
    share = (params[EMBEDDING] - bob) @ (ann - bob) / np.sum((ann - bob) ** 2)
    assert 0.5 < share <= 1.001
    assert not params[SPEAKER_FILM_OFFSET].any()


def test_a_recording_becomes_a_speaker(base, world, tone, monkeypatch, capsys):
    """A tone of 196 Hz is singing, so its range is measured."""
    files.write(world / "me.wav", files.Audio(np.tile(tone.samples, 2), tone.rate))
    arguments = ("fit", "me.wav", "-n", "Me", "-o", "new.safetensors", "--zero-shot")
    code, out, err = svc(monkeypatch, capsys, *arguments, "-v", "base")
    assert code == 0, err
    assert "Me is number 2, from 2 s; nothing was trained" in out
    new = VoiceFile.read(world / "new.safetensors")
    assert new.speakers[-1].range == pytest.approx((196, 196, 196), rel=0.01)
    old = VoiceFile.read(world / "base.safetensors")
    np.testing.assert_array_equal(new.weights[EMBEDDING][:2], old.weights[EMBEDDING])


def test_only_the_base_voice_has_a_map(base, world, voice, tone, monkeypatch, capsys):
    files.write(world / "me.wav", tone)
    other = {**voice.weights, "conditioner.film.bias": voice.weights["conditioner.film.bias"] + 1}
    replace(voice, weights=other).save(world / "other.safetensors")
    arguments = ("fit", "me.wav", "-n", "Me", "-o", "new.safetensors", "--zero-shot")
    code, _, err = svc(monkeypatch, capsys, *arguments, "-v", "other.safetensors")
    assert code == 2
    assert "use --voice base" in err
    code, _, err = svc(monkeypatch, capsys, *arguments, "-v", "base")
    assert code == 2
    assert "1.2 s; give 2 to 60 s of one voice" in err
    assert not (world / "new.safetensors").exists()


def test_a_song_is_converted_to_a_recording(base, world, tone, monkeypatch, capsys):
    """By the command and the API alike; the name of the file is the speaker's, or one like it if that is in use."""
    files.write(world / "Ann.wav", files.Audio(np.tile(tone.samples, 2), tone.rate))
    code, out, err = svc(monkeypatch, capsys, "convert", "song.wav", "-s", "Ann.wav", "-v", "base", "-o", "out.wav")
    assert code == 0, err
    assert "as Ann (recording)" in out
    song = files.read(world / "song.wav")
    samples = Voice.load("base").convert(song.samples, song.rate, speaker="Ann.wav")
    converted = files.read(world / "out.wav").samples
    assert len(samples) == len(converted) == len(song.samples)
    assert np.abs(samples - converted).max() < 1e-3


def test_a_fit_starts_at_the_encoding(base, voice, prepared, monkeypatch):
    monkeypatch.setattr(zero_shot, "encode", lambda _: base[1].astype(np.float64))
    start = zero_shot.initial_speaker(voice, [])
    assert start.nearest == ["Bob Ö.", "Ann"]
    np.testing.assert_array_equal(start.params[EMBEDDING], zero_shot.map_encoding(base[1].astype(float))[EMBEDDING])


def test_a_bad_recording_is_left_out(base, world, tone):
    files.write(world / "good.wav", files.Audio(np.tile(tone.samples, 2), tone.rate))
    (world / "bad.wav").write_bytes(b"RIFF")
    rejected: list[str] = []
    voice = VoiceFile.load(world / "base.safetensors")
    new = zero_shot.add_speaker(voice, "Me", [world / "bad.wav", world / "good.wav"], rejected=rejected)
    assert new.speakers[-1].seconds == pytest.approx(2 * tone.seconds)
    assert len(rejected) == 1
    assert "bad.wav" in rejected[0]
    with pytest.raises(AudioError, match=r"bad\.wav"):
        zero_shot.add_speaker(voice, "Me", [world / "bad.wav"])
