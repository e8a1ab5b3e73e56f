"""Converter: chunks equal one pass, length and f0 are kept, files equal memory, and a converter owns its networks."""

import math
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import svc

from svc.audio import chunks, files, lufs
from svc.audio.files import Audio
from svc.errors import DataError, WeightsError
from svc.features.extract import Features, measure_loudness, median_voiced_level
from svc.inference import loudness
from svc.inference.converter import ConversionOptions, Converter
from svc.inference.loudness import parse_loudness


def song(frames: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    f0 = (220 * 2 ** np.cumsum(rng.normal(0, 0.01, frames))).astype(np.float32)
    voiced = np.repeat(rng.random(-(-frames // 10)) < 0.7, 10)[:frames]
    level = (-30 + 10 * rng.random(frames)).astype(np.float32)
    return Features(f0, voiced, level, level + 25, rng.normal(size=(20, frames)).astype(np.float32))


@pytest.mark.parametrize("chunk", [37, 100, 299])
def test_chunks_equal_one_pass(voice, chunk):
    conditioning = song(300).conditioning(torch.tensor([1.0, 0.0]))
    with torch.inference_mode():
        whole = voice.generator(conditioning, guidance=voice.config.model.guidance)[0].numpy()
        plain = voice.generator(conditioning)[0].numpy()
    chunks = np.concatenate(list(Converter(voice).synthesise(conditioning, chunk)))
    assert np.abs(whole).max() > 1e-3
    assert np.abs(whole - plain).max() > 1e-3 * np.abs(whole).max()
    unguided = np.concatenate(list(Converter(voice, guidance=0.0).synthesise(conditioning, chunk)))
    np.testing.assert_allclose(unguided, plain, atol=1e-4 * np.abs(plain).max())
    np.testing.assert_allclose(chunks, whole, atol=1e-4 * np.abs(whole).max())


@settings(max_examples=8, deadline=None)
@given(rate=st.sampled_from([8_000, 22_050, 44_100, 48_000]), samples=st.integers(3_000, 20_000))
def test_length_is_kept_to_the_sample(voice, rate, samples):
    noise = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    converted, report = Converter(voice).convert(Audio(noise, rate), "0")
    assert (len(converted.samples), converted.rate) == (samples, rate)
    assert np.isfinite(converted.samples).all()
    assert set(report.timings) == {"f0", "content", "generator", "resample"}


def test_the_median_level_is_that_of_voiced_frames():
    """Whatever else there is in a pause; and without voiced frames, that of all."""
    level = np.repeat(np.float32([-25, -55, -90]), (40, 100, 9))
    assert median_voiced_level(level, level > -30) == -25
    assert median_voiced_level(level, level < -100) == -55


@pytest.mark.parametrize("db", [-20, 10])
def test_recording_level_changes_only_the_gain(voice, db):
    """A glide that swells, and the same recorded louder or more softly."""
    time = np.arange(44_100) / 22_050
    swell = 0.02 * 10 ** (0.5 * time) * np.sin(2 * np.pi * (220 * time + 20 * time**2))
    plain, _ = Converter(voice).convert(Audio(swell.astype(np.float32), 22_050), "Ann")
    moved, report = Converter(voice).convert(Audio((swell * 10 ** (db / 20)).astype(np.float32), 22_050), "Ann")
    back = moved.samples * 10 ** (-(db + report.gain.gain_db) / 20)
    assert np.abs(back - plain.samples).max() < 0.01 * np.abs(plain.samples).max()


def test_another_content_encoder_is_refused(voice):
    with pytest.raises(WeightsError, match=r"trained with other weights of cepstral/\d than are here"):
        Converter(replace(voice, encoder=f"{voice.encoder.split()[0]} " + "0" * 64))
    Converter(replace(voice, encoder=""))  # not recorded


def test_f0_and_transposition(voice, tone):
    _, report = Converter(voice).convert(tone, "Ann")
    f0 = report.f0[20:-20]
    assert np.abs(1200 * np.log2(f0 / 196)).max() < 5
    _, fifth = Converter(voice).convert(tone, "Ann", transpose=7)
    np.testing.assert_allclose(fifth.f0[20:-20], f0 * 2 ** (7 / 12), rtol=1e-5)


def test_auto_transposes_by_octaves(voice, tone):
    assert Converter(voice).convert(tone, "Ann", transpose="auto")[1].transpose == 0
    assert Converter(voice).convert(tone, "1", transpose="auto")[1].transpose == -12


def test_f0_of_a_csv_is_used(voice, tone, tmp_path):
    curve = tmp_path / "f0.csv"
    curve.write_text("seconds,hz\n0,300\n0.6,300\n0.61,0\n1.3,0\n")
    _, report = Converter(voice).convert(tone, "0", f0_csv=curve)
    np.testing.assert_allclose(report.f0[:60], 300, rtol=1e-5)
    assert not report.f0[62:].any()


def test_a_clip_is_converted_from_its_features(voice):
    """As one pass of the generator over the transposed features; the source–filter stage alone if requested."""
    features = song(150)
    conditioning, samples = Converter(voice).convert_clip(features, 1)
    octaves = np.log2(conditioning.f0[0].numpy() / features.f0)
    np.testing.assert_allclose(octaves, -1, atol=1e-5)
    with torch.inference_mode():
        whole = voice.generator(conditioning, guidance=0.4)[0].numpy()
        source_filter = voice.generator(conditioning, use_wavenet=False, guidance=0.4)[0].numpy()
    np.testing.assert_allclose(samples, whole, atol=1e-4 * np.abs(whole).max())
    alone = Converter(voice).convert_clip(features, 1, use_wavenet=False)[1]
    np.testing.assert_allclose(alone, source_filter, atol=1e-4 * np.abs(source_filter).max())
    assert not np.allclose(alone, samples, atol=1e-3 * np.abs(whole).max())


# --- a converter owns its networks ---


def devices(*networks) -> set[str]:
    return {parameter.device.type for network in networks for parameter in network.parameters()}


def test_a_converter_leaves_the_voice_where_it_is(voice):
    """On another device it has networks of its own, so that the same voice can be adapted on the CPU."""
    converter = Converter(voice, "meta")
    assert devices(converter.generator) == {"meta"}
    assert devices(voice.generator) == {"cpu"}


def test_converters_on_two_devices_do_not_disturb_each_other(voice, tone):
    """Neither a second converter nor its encoders move the first one's, whatever the order."""
    first = Converter(voice, "cpu")
    before, _ = first.convert(tone, "Ann")
    other = Converter(voice, "meta")
    last = Converter(voice, "cpu")
    assert devices(other.generator, *other.features.crepe) == {"meta"}
    for converter in (first, last):
        assert devices(converter.generator, *converter.features.crepe) == {"cpu"}
        assert np.array_equal(converter.convert(tone, "Ann")[0].samples, before.samples)


# --- files ---


@pytest.fixture(scope="module")
def long(tone):
    """Eleven seconds of notes and silence: more than one chunk."""
    return Audio(np.concatenate([tone.samples, np.zeros(20_000, np.float32)] * 7), tone.rate)


@pytest.fixture
def convert(long, tmp_path):
    """A function that converts a file of that, and returns the report."""
    files.write(tmp_path / "song.wav", long)

    def run(converter, *options, out="out.wav", **named):
        return converter.convert_file(tmp_path / "song.wav", tmp_path / out, ConversionOptions(*options, **named))

    return run


@pytest.mark.parametrize("mapped", [False, True], ids=["in memory", "memory-mapped"])
def test_a_file_is_converted_as_in_memory(voice, convert, tmp_path, monkeypatch, mapped):
    if mapped:
        monkeypatch.setattr(chunks, "MAX_SECONDS_IN_MEMORY", 3)
    source, converter = files.read(tmp_path / "song.wav"), Converter(voice)
    convert(converter, "Bob Ö.", -12.0)
    files.write(tmp_path / "expected.wav", converter.convert(source, "1", transpose=-12)[0])
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "expected.wav").read_bytes()
    converted = files.read(tmp_path / "out.wav")
    assert (len(converted.samples), converted.rate) == (len(source.samples), source.rate)


def test_format_and_speaker_are_checked_once(voice, convert, monkeypatch):
    from svc.inference import converter

    calls = []
    for module, name in ((files, "check_format"), (converter, "parse_speaker")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, real=real, name=name: calls.append(name) or real(*a))
    convert(Converter(voice), "Ann")
    assert calls.count("parse_speaker") == 1
    assert calls.count("check_format") <= 2  # before the work, and by the writer


@pytest.mark.parametrize("wanted", [-30.0, -45.0])
def test_a_loudness_in_lufs(voice, convert, tmp_path, wanted):
    gain = convert(Converter(voice), "Ann", loudness=wanted).gain
    converted = files.read(tmp_path / "out.wav")
    assert lufs.integrated(converted.samples, converted.rate) == pytest.approx(wanted, abs=0.2)
    assert gain.gain_db != 0
    assert gain.limited_by_db == 0


@pytest.mark.parametrize("ending", [".flac", ".mp3"])
def test_an_output_above_full_scale_is_lowered_instead_of_clipped(voice, tone, tmp_path, monkeypatch, ending):
    """By one gain for the whole song, which the report names."""
    files.write(tmp_path / "song.wav", Audio(tone.samples * np.float32(0.1), tone.rate))
    factor = 1.0
    monkeypatch.setattr(
        "svc.inference.converter.match_level", lambda parts, *level: (np.float32(factor) * part for part in parts)
    )
    plain = Converter(voice).convert(files.read(tmp_path / "song.wav"), "Ann")[0].samples
    peak = float(np.abs(plain).max())
    factor = 4 / peak
    target = tmp_path / f"out{ending}"
    gain = Converter(voice).convert_file(tmp_path / "song.wav", target, ConversionOptions("Ann")).gain
    assert gain.gain_db == -gain.limited_by_db == pytest.approx(-20 * math.log10(4 / loudness.MAX_PEAK), abs=1e-3)
    assert gain.describe() == "lowered by 12.1 dB to avoid clipping"
    expected = plain * (loudness.MAX_PEAK / peak)
    error = files.read(target).samples - expected
    assert np.square(error).mean() < (1e-10 if ending == ".flac" else 0.3) * np.square(expected).mean()


def test_as_loud_as_the_speaker(voice, long, tmp_path):
    """A speaker whose recorded level is 6 dB above the song."""
    quiet = Audio(long.samples * np.float32(0.05), long.rate)
    files.write(tmp_path / "song.wav", quiet)

    def run(converter, out, **named):
        return converter.convert_file(tmp_path / "song.wav", tmp_path / out, ConversionOptions("Ann", **named))

    run(Converter(voice), "a.wav")
    with pytest.raises(WeightsError, match="the level of Ann is not recorded"):
        run(Converter(voice), "b.wav", loudness="target")
    assert not (tmp_path / "b.wav").exists()
    levels = measure_loudness(chunks.resample_to_buffer(files.read_blocks(tmp_path / "song.wav"), 24_000).audio)
    median = float(np.median(levels[levels >= levels.max() - 40]))
    ann = replace(voice.speakers[0], level=median + 6)
    gain = run(Converter(replace(voice, speakers=(ann, voice.speakers[1]))), "b.wav", loudness="target").gain
    assert gain.gain_db == pytest.approx(6, abs=1e-3)
    assert gain.describe() == "gain +6.0 dB"
    a, b = (files.read(tmp_path / name).samples for name in ("a.wav", "b.wav"))
    np.testing.assert_allclose(b, 10 ** (6 / 20) * a, atol=1e-5)


def test_loudness_is_parsed():
    texts = ("source", " Target", "-14LUFS", "-23", "-9.5lufs")
    assert [parse_loudness(text) for text in texts] == ["source", "target", -14.0, -23.0, -9.5]
    for text in ("", "loud", "nan", "3LUFS", "-99"):
        with pytest.raises(DataError, match="give source, target"):
            parse_loudness(text)


# --- the command with pipes ---


class Pipe:
    def __init__(self, data=b""):
        self.buffer = BytesIO(data)
        self.encoding = "utf-8"

    def isatty(self):
        return False

    def write(self, text):
        raise AssertionError(text)

    def flush(self):
        pass


def run_with_pipes(monkeypatch, data, *arguments) -> bytes:
    """Standard output of ``svc convert``."""
    from svc.cli import main

    sink = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe(data))
    monkeypatch.setattr(sys, "stdout", sink)
    monkeypatch.setattr("sys.argv", ["svc", "convert", "-s", "Ann", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return sink.buffer.getvalue()


def test_from_pipe_to_pipe(world, monkeypatch, capsys):
    svc(monkeypatch, capsys, "convert", "-s", "Ann", "song.wav", "-o", "out.wav")
    output = run_with_pipes(monkeypatch, (world / "song.wav").read_bytes(), "-", "-o", "-")
    assert output == (world / "out.wav").read_bytes()
    assert soundfile.info(BytesIO(output)).frames == 44_100


def test_a_stream_goes_from_pipe_to_pipe(world, monkeypatch, capsys):
    samples = (0.3 * 2**15 * np.sin(2 * np.pi * 220 * np.arange(24_000) / 24_000)).astype("<i2")
    output = run_with_pipes(monkeypatch, samples.tobytes(), "--stream", "--stream-rate", "24000", "-", "-o", "-")
    assert len(output) == 48_000
    assert "latency" in capsys.readouterr().err


def test_a_song_and_its_f0_are_two_files(world, monkeypatch, capsys):
    code, _, err = svc(monkeypatch, capsys, "convert", "-s", "Ann", "song.wav", "-o", "x.wav", "--save-f0-csv", "x.wav")
    assert code == 2
    assert "give --save-f0-csv another name" in err
    assert not (world / "x.wav").exists()


def test_a_pipe_needs_an_output_name(world, monkeypatch, capsys):
    code, _, err = svc(monkeypatch, capsys, "convert", "-s", "Ann", "-")
    assert code == 2
    assert "give the output a name" in err


def test_notes_outside_the_range_are_reported(world, monkeypatch, capsys):
    _, out, _ = svc(monkeypatch, capsys, "convert", "-s", "Ann", "-t", "24", "song.wav")
    assert "100% of the notes are more than a semitone above the range of Ann" in out
    assert "--transpose" in out.split("above the range of Ann")[1]
    _, out, _ = svc(monkeypatch, capsys, "convert", "-s", "Ann", "song.wav", "-f")
    assert "of the notes" not in out
    assert math.isclose(files.read(world / "song_Ann.wav").seconds, 1)
