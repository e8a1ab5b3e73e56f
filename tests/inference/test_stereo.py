"""Stereo in, stereo out: position and width of the source, whatever the parts, and mono as it was."""

import numpy as np
import pytest
import soundfile

from svc.audio import files
from svc.inference import stereo
from svc.inference.converter import ConversionOptions, Converter
from svc.inference.loudness import choose_gain
from svc.inference.stereo import place

RATE = 16_000
TIME = np.arange(4 * RATE) / RATE
HALVES = np.float32([0.5, 0.5])
RNG = np.random.default_rng(0)


def harmonics(hz: float, tilt: float = 1.0) -> np.ndarray:
    return sum(0.2 / k**tilt * np.sin(2 * np.pi * hz * k * TIME + k * k) for k in range(1, 25)).astype(np.float32)


VOICE, CONVERTED = harmonics(220), harmonics(165, 0.7)


def placed(source: np.ndarray, weights: np.ndarray = HALVES, voice: np.ndarray = CONVERTED, parts: int = 3):
    """Of a converted voice and its source (T, 2) that come in different parts."""
    mono, channels = np.array_split(voice, parts), np.array_split(source.astype(np.float32), parts + 4)
    return np.concatenate(list(place(mono, channels, weights, RATE, len(voice))))


def level_difference(samples: np.ndarray) -> np.ndarray:
    """dB of the left channel above the right one, per second."""
    left, right = np.square(samples.reshape(-1, RATE, 2), dtype=np.float64).sum(axis=1).T
    return 10 * np.log10(left / right)


def coherence(samples: np.ndarray) -> float:
    return float(np.corrcoef(samples.T)[0, 1])


def test_a_voice_that_wanders_keeps_its_position():
    """From 12 dB left to 12 dB right, beside a little noise."""
    left = 1 / (1 + 10 ** ((0.6 * TIME - 1.2) / 2))
    source = VOICE[:, None] * np.stack([left, 1 - left], axis=1) + 1e-3 * RNG.normal(size=(len(TIME), 2))
    difference = level_difference(source)
    assert np.ptp(difference) > 8
    np.testing.assert_allclose(level_difference(placed(source)), difference, atol=0.5)


@pytest.mark.parametrize("side", [0.0, 0.3, 1.0, 3.0])
def test_width_follows_the_source(side):
    """Of a voice in the middle and a part that differs between the channels, down to anti-phase."""
    apart = side * harmonics(233)[:, None] * [1, -1]
    source = VOICE[:, None] + apart
    output = placed(source)
    assert coherence(output) == pytest.approx(coherence(source), abs=0.2)
    np.testing.assert_allclose(level_difference(output), 0, atol=1.0)


def test_bands_have_positions_of_their_own():
    low, high = harmonics(220) * 0, harmonics(220) * 0
    low += np.sin(2 * np.pi * 300 * TIME).astype(np.float32)
    high += np.sin(2 * np.pi * 5000 * TIME).astype(np.float32)
    output = placed(np.stack([low + 0.25 * high, 0.25 * low + high], axis=1), voice=low + high)
    left, right = np.abs(np.fft.rfft(output.T))
    for hz, db in ((300, 12.04), (5000, -12.04)):
        assert 20 * np.log10(left[4 * hz] / right[4 * hz]) == pytest.approx(db, abs=0.7)


def test_where_the_source_is_silent_the_voice_is_in_the_middle():
    np.testing.assert_allclose(placed(np.zeros((len(TIME), 2))), np.stack([CONVERTED] * 2, axis=1), atol=1e-6)


@pytest.mark.parametrize("chunk", [7, 50])
def test_parts_give_the_same_samples(monkeypatch, chunk):
    source = VOICE[:, None] * (1 + 0.5 * np.sin(TIME[:, None] * [3, 5])) + 0.1 * RNG.normal(size=(len(TIME), 2))
    whole = placed(source[:-77], voice=CONVERTED[:-77], parts=1)
    assert whole.shape == (len(TIME) - 77, 2)
    monkeypatch.setattr(stereo, "CHUNK", chunk)
    np.testing.assert_allclose(placed(source[:-77], voice=CONVERTED[:-77], parts=31), whole, atol=1e-5)


# --- files ---


@pytest.fixture(scope="module")
def converter(voice):
    return Converter(voice)


@pytest.fixture
def convert(converter, tmp_path):
    def run(samples: np.ndarray, rate: int, **options) -> np.ndarray:
        soundfile.write(tmp_path / "song.wav", samples, rate, "FLOAT", format="WAVEX")
        report = converter.convert_file(
            tmp_path / "song.wav", tmp_path / "out.wav", ConversionOptions("Ann", **options)
        )
        assert set(report.timings) == {"f0", "content", "generator", "resample"}
        return soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)[0]

    return run


def test_a_stereo_file_comes_out_stereo(convert, tone):
    """The voice is converted once, as its mono mix is; ``mono`` gives that alone."""
    pan = np.linspace(1, 0.2, len(tone.samples), dtype=np.float32)
    source = np.stack([pan * tone.samples, (1.2 - pan) * tone.samples], axis=1)
    output, mono = convert(source, tone.rate), convert(source.mean(axis=1), tone.rate)
    assert output.shape == source.shape
    assert np.array_equal(convert(source, tone.rate, mono=True), mono)
    for part in (slice(0, 20_000), slice(-20_000, None)):
        wanted, actual = (10 * np.log10(np.divide(*np.square(x[part]).sum(axis=0))) for x in (source, output))
        assert actual == pytest.approx(wanted, abs=1)


def test_the_peak_of_both_channels_counts():
    loud = np.stack([VOICE, 2 * VOICE / np.abs(VOICE).max()], axis=1)
    assert choose_gain("source", loud, RATE, None, None).limited_by_db == pytest.approx(20 * np.log10(2 / 0.99))


def test_weights_of_channels(tmp_path):
    noise = (0.1 * RNG.normal(size=(RATE, 6))).astype(np.float32)
    for name, count, expected in (
        ("x.wav", 1, [1]), ("x.wav", 2, [0.5, 0.5]), ("x.wav", 4, [0.25] * 4),
        ("x.wav", 3, [0, 0, 1]), ("x.flac", 6, [0, 0, 1, 0, 0, 0]), ("x.ogg", 6, [0, 1, 0, 0, 0, 0]),
    ):  # fmt: skip
        soundfile.write(tmp_path / name, noise[:, :count], RATE)
        assert files.channel_weights(tmp_path / name).tolist() == expected
