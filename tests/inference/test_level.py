"""Level correction: within 3 dB of the source where the generator is far off, and untouched where it is not."""

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.features.extract import measure_loudness
from svc.inference import loudness as level
from svc.inference.converter import ConversionReport, Converter
from svc.inference.loudness import TOLERANCE, match_level

RATE = 24_000


def noise(seconds: float, db: float) -> np.ndarray:
    return (10 ** (db / 20) * np.random.default_rng(0).standard_normal(int(seconds * RATE))).astype(np.float32)


def loudness(samples: np.ndarray) -> np.ndarray:
    return measure_loudness(Audio(samples, RATE))


def test_far_off_is_corrected_and_near_is_left_alone():
    wanted = noise(6, -20)
    rendered = wanted.copy()
    rendered[2 * RATE : 3 * RATE] *= 10 ** (-38 / 20)
    rendered[4 * RATE : 5 * RATE] *= 10 ** (11 / 20)
    rendered[5 * RATE :] *= 10 ** (2 / 20)
    corrected = np.concatenate(list(match_level([rendered], RATE, loudness(wanted))))
    difference = loudness(corrected) - loudness(wanted)
    assert np.abs(difference[230:270]).max() < TOLERANCE + 0.2
    assert np.abs(difference[430:470]).max() < TOLERANCE + 0.2
    for seconds in (slice(30, 170), slice(330, 370), slice(530, 570)):
        span = slice(seconds.start * RATE // 100, seconds.stop * RATE // 100)
        np.testing.assert_array_equal(corrected[span], rendered[span])


def test_parts_and_chunks_give_the_same_samples(monkeypatch):
    rendered = noise(4, -60) * np.linspace(0.1, 9, 4 * RATE, dtype=np.float32)
    wanted = loudness(noise(4, -20))
    whole = np.concatenate(list(match_level([rendered], RATE, wanted)))
    monkeypatch.setattr(level, "CHUNK", 37)
    parts = np.concatenate(list(match_level(np.split(rendered, [7, 5_000, 70_000]), RATE, wanted)))
    np.testing.assert_allclose(parts, whole, atol=1e-5 * np.abs(whole).max())


def test_silence_stays_silent():
    rendered = noise(1, -95)
    np.testing.assert_array_equal(next(match_level([rendered], RATE, np.full(100, -100, np.float32))), rendered)
    raised = next(match_level([np.zeros(RATE, np.float32)], RATE, np.full(100, -30, np.float32)))
    assert not raised.any()


@pytest.mark.parametrize("db", [-35.0, 12.0])
def test_a_conversion_is_as_loud_as_its_source(voice, tone, monkeypatch, db):
    """Of a generator that renders all of it at another level."""
    synthesise = Converter.synthesise
    gain = np.float32(10 ** (db / 20))
    monkeypatch.setattr(
        Converter,
        "synthesise",
        lambda *arguments, **options: (gain * chunk for chunk in synthesise(*arguments, **options)),
    )
    source = Audio(0.1 * tone.samples, tone.rate)
    converted, _ = Converter(voice).convert(source, "Ann")
    difference = measure_loudness(converted) - measure_loudness(source)
    assert np.abs(difference[30:-30]).max() < TOLERANCE + 3  # of single frames


def test_a_song_without_melody_is_named():
    """By the command, for one song and for each of a folder."""
    assert ConversionReport(f0=np.float32([0, 220])).notes == []
    (note,) = ConversionReport(f0=np.zeros(9, np.float32)).notes
    assert note.startswith("no melody was found, so all of it is a whisper")
