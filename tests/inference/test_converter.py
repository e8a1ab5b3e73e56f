"""Conversion: streamed equals whole, the length is kept, the melody is the one asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.files import Audio
from svc.errors import WeightsError
from svc.features.extract import Features, usual
from svc.inference.converter import Converter


def song(frames: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    f0 = (220 * 2 ** np.cumsum(rng.normal(0, 0.01, frames))).astype(np.float32)
    voiced = np.repeat(rng.random(-(-frames // 10)) < 0.7, 10)[:frames]
    loudness = (-30 + 10 * rng.random(frames)).astype(np.float32)
    return Features(f0, voiced, loudness, loudness + 25, rng.normal(size=(20, frames)).astype(np.float32))


@pytest.mark.parametrize("chunk", [37, 100, 299])
def test_streamed_equals_whole(voice, chunk):
    conditioning = song(300).conditioning(torch.tensor([1.0, 0.0]))
    with torch.inference_mode():
        whole = voice.generator(conditioning)[0].numpy()
    streamed = np.concatenate(list(Converter(voice).stream(conditioning, chunk)))
    assert np.abs(whole).max() > 1e-3
    np.testing.assert_allclose(streamed, whole, atol=1e-4 * np.abs(whole).max())


def test_bf16_is_60_db_below_the_sound(voice):
    conditioning = song(300).conditioning(torch.tensor([1.0, 0.0]))
    exact = np.concatenate(list(Converter(voice).stream(conditioning)))
    for chunk in (100, 300):
        rough = np.concatenate(list(Converter(voice, bf16=True).stream(conditioning, chunk)))
        assert 0 < np.square(rough - exact).mean() < 1e-6 * np.square(exact).mean()


@settings(max_examples=8, deadline=None)
@given(rate=st.sampled_from([8_000, 22_050, 44_100, 48_000]), samples=st.integers(3_000, 20_000))
def test_length_is_kept_to_the_sample(voice, rate, samples):
    noise = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    made, report = Converter(voice).convert(Audio(noise, rate), "0")
    assert (len(made.samples), made.rate) == (samples, rate)
    assert np.isfinite(made.samples).all()
    assert set(report.spent) == {"f0", "content", "generator", "resample"}


def test_same_song_twice_is_the_same_to_the_bit(voice, tone):
    first, _ = Converter(voice).convert(tone, "Ann")
    second, _ = Converter(voice).convert(tone, "0")
    np.testing.assert_array_equal(first.samples, second.samples)


def test_the_usual_level_is_that_of_the_voice():
    """Whatever else there is in a pause; and where nobody sings, that of what there is."""
    level = np.repeat(np.float32([-25, -55, -90]), (40, 100, 9))
    assert usual(level, level > -30) == -25
    assert usual(level, level < -100) == -55


@pytest.mark.parametrize("db", [-20, 10])
def test_wherever_the_microphone_stood_it_is_the_same_song(voice, db):
    """A glide that swells, and the same recorded louder or more softly: sung alike, but for the gain."""
    time = np.arange(44_100) / 22_050
    swell = 0.02 * 10 ** (0.5 * time) * np.sin(2 * np.pi * (220 * time + 20 * time**2))
    plain, _ = Converter(voice).convert(Audio(swell.astype(np.float32), 22_050), "Ann")
    moved, _ = Converter(voice).convert(Audio((swell * 10 ** (db / 20)).astype(np.float32), 22_050), "Ann")
    back = moved.samples * 10 ** (-db / 20)
    assert np.abs(back - plain.samples).max() < 0.01 * np.abs(plain.samples).max()


def test_features_of_another_encoder_are_not_sung_from(voice):
    with pytest.raises(WeightsError, match="trained with other weights of cepstral/1 than are here"):
        Converter(replace(voice, encoder="cepstral/1 " + "0" * 64))
    Converter(replace(voice, encoder=""))  # nobody knows


def test_melody_and_transposition(voice, tone):
    _, report = Converter(voice).convert(tone, "Ann")
    sung = report.f0[20:-20]
    assert np.abs(1200 * np.log2(sung / 196)).max() < 5
    _, fifth = Converter(voice).convert(tone, "Ann", transpose=7)
    np.testing.assert_allclose(fifth.f0[20:-20], sung * 2 ** (7 / 12), rtol=1e-5)


def test_auto_moves_by_octaves_towards_the_singer(voice, tone):
    assert Converter(voice).convert(tone, "Ann", transpose="auto")[1].transpose == 0
    assert Converter(voice).convert(tone, "1", transpose="auto")[1].transpose == -12


def test_given_curve_is_sung(voice, tone, tmp_path):
    curve = tmp_path / "f0.csv"
    curve.write_text("seconds,hz\n0,300\n0.6,300\n0.61,0\n1.3,0\n")
    _, report = Converter(voice).convert(tone, "0", curve=curve)
    np.testing.assert_allclose(report.f0[:60], 300, rtol=1e-5)
    assert not report.f0[62:].any()
