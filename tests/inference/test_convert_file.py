"""Songs in files: as in memory, exact in length and level, and one bad file in a folder stops nothing."""

import math
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import soundfile
from test_cli import svc

from svc.audio import disk_buffer, files, lufs
from svc.audio.files import Audio
from svc.errors import DataError, WeightsError
from svc.inference import convert_file
from svc.inference.convert_file import Wish
from svc.inference.converter import Converter


@pytest.fixture(scope="module")
def long(tone):
    """Eleven seconds of notes and silence: more than one chunk is sung."""
    return Audio(np.concatenate([tone.samples, np.zeros(20_000, np.float32)] * 7), tone.rate)


@pytest.mark.parametrize("mapped", [False, True], ids=["in memory", "on the disk"])
def test_a_file_is_sung_as_in_memory(voice, long, tmp_path, monkeypatch, mapped):
    if mapped:
        monkeypatch.setattr(disk_buffer, "LONG", 3)
    files.write(tmp_path / "song.wav", long)
    read = files.read(tmp_path / "song.wav")
    converter = Converter(voice)
    convert_file.convert_file(converter, tmp_path / "song.wav", tmp_path / "out.wav", Wish("Bob Ö.", -12.0))
    files.write(tmp_path / "wanted.wav", converter.convert(read, "1", transpose=-12)[0])
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "wanted.wav").read_bytes()
    made = files.read(tmp_path / "out.wav")
    assert (len(made.samples), made.rate) == (len(read.samples), read.rate)


@pytest.mark.parametrize("wanted", [-30.0, -45.0])
def test_a_loudness_in_lufs(voice, long, tmp_path, wanted):
    files.write(tmp_path / "song.wav", long)
    _, gain = convert_file.convert_file(
        Converter(voice), tmp_path / "song.wav", tmp_path / "out.wav", Wish("Ann", loudness=wanted)
    )
    made = files.read(tmp_path / "out.wav")
    assert lufs.integrated(made.samples, made.rate) == pytest.approx(wanted, abs=0.2)
    assert gain.given != 0
    assert gain.withheld == 0


def test_louder_than_full_scale_is_not_clipped(voice, long, tmp_path):
    files.write(tmp_path / "song.wav", long)
    _, gain = convert_file.convert_file(
        Converter(voice), tmp_path / "song.wav", tmp_path / "out.wav", Wish("Ann", loudness=0.0)
    )
    assert np.abs(files.read(tmp_path / "out.wav").samples).max() == pytest.approx(convert_file.HEADROOM, abs=0.005)
    assert gain.withheld > 0
    assert f"{gain.withheld:.1f} dB less than asked so that nothing clips" in gain.told()


def test_as_loud_as_the_singer(voice, long, tmp_path):
    """A song whose singer is known to sing 6 dB louder than it, at the same level of every note."""
    files.write(tmp_path / "song.wav", Audio(long.samples * np.float32(0.05), long.rate))
    converter = Converter(voice)
    plain, _ = convert_file.convert_file(converter, tmp_path / "song.wav", tmp_path / "a.wav", Wish("Ann"))
    with pytest.raises(WeightsError, match="nobody knows how loud Ann is"):
        convert_file.convert_file(converter, tmp_path / "song.wav", tmp_path / "b.wav", Wish("Ann", loudness="target"))
    assert not (tmp_path / "b.wav").exists()
    level = disk_buffer.spool(files.blocks(tmp_path / "song.wav"), 24_000).audio
    from svc.features.extract import measure_loudness

    loudness = measure_loudness(level)
    median = float(np.median(loudness[loudness >= loudness.max() - 40]))
    ann = replace(voice.singers[0], level=median + 6)
    louder = Converter(replace(voice, singers=(ann, voice.singers[1])))
    _, gain = convert_file.convert_file(
        louder, tmp_path / "song.wav", tmp_path / "b.wav", Wish("Ann", loudness="target")
    )
    assert gain.given == pytest.approx(6, abs=1e-3)
    assert gain.told() == "made 6.0 dB louder"
    a, b = (files.read(tmp_path / name).samples for name in ("a.wav", "b.wav"))
    np.testing.assert_allclose(b, 10 ** (6 / 20) * a, atol=1e-5)
    assert plain.seconds == pytest.approx(long.seconds)


def test_loudness_is_read():
    assert [convert_file.parse_loudness(t) for t in ("source", " Target", "-14LUFS", "-23", "-9.5lufs")] == [
        "source",
        "target",
        -14.0,
        -23.0,
        -9.5,
    ]
    for text in ("", "loud", "nan", "3LUFS", "-99"):
        with pytest.raises(DataError, match="give source, target"):
            convert_file.parse_loudness(text)


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


def test_a_pipe_through(world, monkeypatch, capsys):
    svc(monkeypatch, capsys, "convert", "-s", "Ann", "song.wav", "-o", "out.wav")
    sink = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe((world / "song.wav").read_bytes()))
    monkeypatch.setattr(sys, "stdout", sink)
    monkeypatch.setattr("sys.argv", ["svc", "convert", "-s", "Ann", "-", "-o", "-"])
    from svc.cli import main

    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert sink.buffer.getvalue() == (world / "out.wav").read_bytes()
    assert soundfile.info(BytesIO(sink.buffer.getvalue())).frames == 44_100


def test_a_song_and_its_melody_are_two_files(world, monkeypatch, capsys):
    code, _, err = svc(monkeypatch, capsys, "convert", "-s", "Ann", "song.wav", "-o", "x.wav", "--save-f0", "x.wav")
    assert code == 2
    assert "give --save-f0 another name" in err
    assert not (world / "x.wav").exists()


def test_a_stream_goes_from_pipe_to_pipe(world, monkeypatch, capsys):
    samples = (0.3 * 2**15 * np.sin(2 * np.pi * 220 * np.arange(24_000) / 24_000)).astype("<i2")
    sink = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe(samples.tobytes()))
    monkeypatch.setattr(sys, "stdout", sink)
    monkeypatch.setattr("sys.argv", ["svc", "convert", "--stream", "--rate", "24000", "-s", "Ann", "-", "-o", "-"])
    from svc.cli import main

    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert len(sink.buffer.getvalue()) == 48_000
    assert "s behind" in capsys.readouterr().err


def test_a_pipe_needs_a_name(world, monkeypatch, capsys):
    code, _, err = svc(monkeypatch, capsys, "convert", "-s", "Ann", "-")
    assert code == 2
    assert "give the output a name" in err


def test_notes_beyond_what_a_singer_is_known_at(world, monkeypatch, capsys):
    _, out, _ = svc(monkeypatch, capsys, "convert", "-s", "Ann", "-t", "24", "song.wav")
    assert "100% of the notes lie more than a semitone above what Ann is known at" in out
    _, out, _ = svc(monkeypatch, capsys, "convert", "-s", "Ann", "song.wav", "-f")
    assert "lie above" not in out
    assert math.isclose(files.read(world / "song_Ann.wav").seconds, 1)
