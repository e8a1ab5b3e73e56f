"""MP3 files whose first frame, or libsndfile's guess, says another length than their frames have."""

import io
import itertools

import numpy as np
import pytest
import soundfile

from svc.audio.files import read
from svc.audio.integrity import is_whole, mp3_lengths
from svc.audio.mp3 import _frame_at
from svc.errors import AudioError

SECONDS = 3
RATES = [8_000, 22_050, 44_100, 48_000]
ID3V2 = b"ID3\x03\0\0\0\0\x01\x00" + bytes(128)
ID3V1 = b"TAG" + bytes(125)
APE = b"APETAGEX" + (2000).to_bytes(4, "little") + (5000).to_bytes(4, "little") + bytes(16 + 5000)


def mp3(rate: int, mode: str = "VARIABLE", seconds: float = SECONDS) -> bytes:
    """A tone, and noise from a quarter on: the mean size of the first frames is not that of all."""
    at = np.arange(round(rate * seconds)) / rate
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(at)) * (at > seconds / 4)
    stream = io.BytesIO()
    samples = 0.3 * np.sin(2 * np.pi * 440 * at) + noise
    soundfile.write(stream, samples, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    return stream.getvalue()


def frames(data: bytes) -> list[tuple[int, int, int]]:
    """Start, length in bytes and length in samples of each frame."""
    stream, position, found = io.BytesIO(data), 0, []
    while frame := _frame_at(stream, position):
        found.append((position, *frame))
        position += frame[0]
    assert position == len(data)
    return found


def without_info(data: bytes) -> bytes:
    return data[frames(data)[0][1] :]


def assert_contradiction(path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(AudioError) as refusal:
        read(path)
    assert str(refusal.value) == f"{path}: its header and contents disagree; convert it to WAV"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.mp3"


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
@pytest.mark.parametrize("rate", RATES)
def test_good_files_are_read(path, rate, mode):
    data = mp3(rate, mode)
    for before, behind in itertools.product((b"", ID3V2, 2 * ID3V2), (b"", ID3V1, APE + ID3V1, bytes(5000))):
        path.write_bytes(before + data + behind)
        assert is_whole(path)
        assert len(read(path).samples) == SECONDS * rate


@pytest.mark.parametrize("rate", RATES)
def test_constant_rate_without_info(path, rate):
    """libsndfile's guess at the length may be off by a part of a frame."""
    data = without_info(mp3(rate, "CONSTANT"))
    length = sum(frame[2] for frame in frames(data))
    assert SECONDS * rate <= length < (SECONDS + 0.3) * rate
    for content, times in ((data, 1), (ID3V2 + data + ID3V1, 1), (data + APE, 1), (2 * data, 2)):
        path.write_bytes(content)
        assert len(read(path).samples) == times * length


@pytest.mark.parametrize("seconds", [0.5, 12])
@pytest.mark.parametrize("rate", RATES)
def test_variable_rate_without_info(path, rate, seconds, capfd):
    data = without_info(mp3(rate, seconds=seconds))
    for content in (data, ID3V2 + data + ID3V1, 2 * data):
        assert_contradiction(path, content)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", RATES)
def test_two_files_strung_together(path, rate, mode, capfd):
    data = mp3(rate, mode)
    other = mp3(48_000 if rate != 48_000 else 44_100, mode)
    for first, second in ((data, data), (data + ID3V1, data), (data, ID3V2 + data), (data + APE, data), (data, other)):
        assert_contradiction(path, first + second)
        assert list(mp3_lengths(path)) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("info", [True, False])
def test_a_lost_frame(path, info, capfd):
    data = mp3(44_100, "CONSTANT")
    middle = frames(data)[50][0]
    damaged = data[:middle] + bytes(4) + data[middle + 4 :]
    assert_contradiction(path, damaged if info else damaged[frames(data)[0][1] :])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("number", "read_it"), [(-10, False), (-3, False), (-2, True), (0, True), (1, False), (1000, False)]
)
def test_info_with_another_number_of_frames(path, number, read_it, capfd):
    data = bytearray(mp3(44_100))
    at = data.index(b"Xing") + 8
    data[at : at + 4] = (int.from_bytes(data[at : at + 4]) + number).to_bytes(4)
    path.write_bytes(data)
    if read_it:
        assert abs(len(read(path).samples) - SECONDS * 44_100) <= 2 * 1152
    elif number < 0:
        assert_contradiction(path, bytes(data))
    else:
        assert not is_whole(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("at", range(65_530, 65_540))
def test_frames_across_two_blocks_are_found(path, at):
    data = mp3(44_100)
    path.write_bytes(data + bytes(at) + data[frames(data)[-3][0] :])
    assert list(mp3_lengths(path)) == []


def test_other_files_have_no_frames(tmp_path):
    for name in ("x.wav", "x.flac", "x.ogg"):
        soundfile.write(tmp_path / name, np.zeros(1000), 16_000)
        assert mp3_lengths(tmp_path / name) is None
    (tmp_path / "x.mp3").write_bytes(ID3V2 + bytes(1000))
    assert mp3_lengths(tmp_path / "x.mp3") is None
