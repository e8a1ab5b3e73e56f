"""Lengths that headers declare: what cannot be true is ignored, and what is missing is noticed."""

import io
import logging

import numpy as np
import pytest
import soundfile
from zoo import chunk, fmt, riff, tone

from svc.audio.files import read
from svc.audio.integrity import PLACEHOLDER, is_complete
from svc.errors import AudioError

WORD = "its header does not hold its length"


def encoded(kind: str, samples: np.ndarray, rate: int = 16_000, subtype: str = "PCM_16") -> bytearray:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return bytearray(buffer.getvalue())


def with_length(kind: str, length: int) -> bytes:
    """A second of sound whose header declares another length of the samples, and of the file."""
    data = encoded(kind, tone())
    data[4:8] = bytes(4)
    name, before, size = {"WAV": (b"data", 4, 4), "AIFF": (b"SSND", 4, 4), "RF64": (b"ds64", 16, 8)}[kind]
    start = data.index(name) + before
    data[start : start + size] = length.to_bytes(size, "big" if kind == "AIFF" else "little")
    return bytes(data)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "RF64"])
@pytest.mark.parametrize("length", [0, PLACEHOLDER, 2**31 - 4096, 2**31 - 1, 2**31, 2**32 - 2])
def test_a_length_that_cannot_be_true_is_ignored_with_a_word(tmp_path, caplog, kind, length):
    (tmp_path / "x").write_bytes(with_length(kind, length))
    with caplog.at_level(logging.WARNING):
        samples = read(tmp_path / "x").samples
    np.testing.assert_allclose(samples, tone(), atol=1e-4)
    assert [WORD in line for line in caplog.messages] == [True]
    assert caplog.messages[0].startswith(f"{tmp_path}/x: ")


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "RF64"])
def test_a_length_that_may_be_true_is_believed(tmp_path, caplog, kind):
    for length in (64_000, PLACEHOLDER - 2):
        (tmp_path / "x").write_bytes(with_length(kind, length))
        assert not is_complete(tmp_path / "x")
        with pytest.raises(AudioError, match="cut short"):
            read(tmp_path / "x")
    (tmp_path / "x").write_bytes(with_length(kind, 16_000 + 8 * (kind == "AIFF")))
    assert len(read(tmp_path / "x").samples) == 8_000
    assert not caplog.messages


def test_no_samples_are_no_recording(tmp_path):
    (tmp_path / "x").write_bytes(riff(fmt(), chunk(b"data", b"")))
    with pytest.raises(AudioError, match=r"only 0\.000 s"):
        read(tmp_path / "x")


# --- MPEG ---


def mpeg_frames(bitrates: list[int]) -> bytes:
    """Silent MPEG-1 layer II frames at 48 kHz, mono, each with its own bit rate in kbit/s, without any other header."""
    codes = [None, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192]
    return b"".join(
        bytes([0xFF, 0xFD, codes.index(rate) << 4 | 0x4, 0xC0]).ljust(144 * rate // 48, b"\0") for rate in bitrates
    )


def test_an_estimated_length_is_no_proof_of_a_cut(tmp_path):
    """A variable bit rate: the length by the first frames is twice what there is."""
    path = tmp_path / "x.mp2"
    path.write_bytes(mpeg_frames([56] * 20 + [192] * 100))
    with soundfile.SoundFile(path) as stream:
        assert stream.frames > 1.3 * len(stream.read())
    with pytest.raises(AudioError, match="silent"):  # so it was read to the end
        read(path)


@pytest.mark.parametrize("wrapped", [False, True], ids=["mp3", "mp3 in a WAV"])
def test_a_declared_length_proves_a_cut(tmp_path, wrapped):
    data = bytes(encoded("MP3", tone(44_100, 3), 44_100, "MPEG_LAYER_III"))
    assert b"Info" in data[:2048] or b"Xing" in data[:2048]
    header = b"\x55\0\1\0" + (44_100).to_bytes(4, "little") + (16_000).to_bytes(4, "little") + b"\1\0\0\0\x0c\0"
    header += b"\1\0\2\0\0\0\xa2\1\1\0\x71\5"

    def put(part: bytes) -> None:
        (tmp_path / "x").write_bytes(riff(chunk(b"fmt ", header), chunk(b"data", part)) if wrapped else part)

    put(data)
    assert len(read(tmp_path / "x").samples) == pytest.approx(3 * 44_100, abs=2_500)
    put(data[: len(data) // 2])
    with pytest.raises(AudioError, match="cut short"):
        read(tmp_path / "x")
