"""Codecs that libsndfile does not read: named, and decoded by ffmpeg where it is installed."""

import sys

import numpy as np
import pytest
import soundfile
from zoo import tone

from svc.audio.ffmpeg import unsupported_codec
from svc.audio.files import read
from svc.errors import AudioError

OGG = b"OggS\0\2" + bytes(20) + b"\1\x33"
BEGINNINGS = {
    "FLAC in Ogg": OGG + b"\x7fFLAC\1\0",
    "Speex": OGG + b"Speex   1.2",
    "ALAC in CAF": b"caff\0\1\0\0desc" + (32).to_bytes(8, "big") + np.float64(44_100).tobytes()[::-1] + b"alac",
    "AAC or ALAC in MP4": b"\0\0\0\x20ftypM4A \0\0\0\0",
    "AAC": b"\xff\xf1\x50\x80\x2e\x7f\xfc",
    "Windows Media": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "Matroska or WebM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81",
    "WavPack": b"wvpk\x20\x01\0\0\x10\4",
}


@pytest.fixture(params=BEGINNINGS)
def codec(request, tmp_path, monkeypatch) -> str:
    """Name of a codec; a file of it is ``song``, and no program is installed."""
    (tmp_path / "song").write_bytes(BEGINNINGS[request.param] + bytes(range(256)) * 8)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return request.param


def test_an_unsupported_codec_is_named_and_not_called_damaged(codec, tmp_path):
    with pytest.raises(AudioError) as refusal:
        read(tmp_path / "song")
    needs = f"{codec} needs ffmpeg, which is not installed; install it, or convert it to .wav"
    assert str(refusal.value) == f"{tmp_path}/song: {needs}"


def test_what_is_supported_has_no_such_name(tmp_path):
    for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU"):
        soundfile.write(tmp_path / "x", tone(44_100), 44_100, format=kind)
        assert unsupported_codec(tmp_path / "x") is None


def install(folder, *lines: str) -> None:
    """A program with the name of ffmpeg; its last argument is the output."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "ffmpeg"
    program.write_text("\n".join([f"#!{sys.executable} -S", "import sys, shutil", *lines]))
    program.chmod(0o755)


@pytest.mark.parametrize("codec", ["Speex"], indirect=True)
def test_ffmpeg_decodes_where_it_is_installed(codec, tmp_path):
    soundfile.write(tmp_path / "sound.wav", tone(), 16_000, subtype="FLOAT")
    install(
        tmp_path,
        f"assert 'file:{tmp_path}/song' in sys.argv",
        f"shutil.copy({str(tmp_path / 'sound.wav')!r}, sys.argv[-1])",
    )
    np.testing.assert_allclose(read(tmp_path / "song").samples, tone(), atol=1e-6)


@pytest.mark.parametrize("codec", ["Speex"], indirect=True)
def test_an_ffmpeg_that_fails_is_one_line(codec, tmp_path):
    install(tmp_path, "sys.exit('[in#0] song: Invalid data found')")
    with pytest.raises(AudioError, match=r"song: cannot be read by ffmpeg \(.*Invalid data found\); "):
        read(tmp_path / "song")
