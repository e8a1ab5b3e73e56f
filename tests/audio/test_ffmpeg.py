"""MP4 audio is written through ffmpeg: here a program of that name that copies, so that only its call is tested."""

import numpy as np
import pytest
import soundfile

from svc.audio import files
from svc.audio.files import Audio
from svc.errors import AudioError

PROGRAM = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = -i ] && source="$2"; shift; done
exec cp "${source#file:}" "${1#file:}"
"""
AUDIO = Audio((0.3 * np.sin(np.arange(8_000) / 5)).astype(np.float32), 16_000)


def test_written_whole(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ffmpeg").write_text(PROGRAM)
    (tmp_path / "bin" / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    path = tmp_path / "$(touch x) 'a'.m4a"
    files.write(path, AUDIO)
    with path.open("rb") as stream:
        np.testing.assert_allclose(soundfile.read(stream)[0], AUDIO.samples, atol=1e-6)
    assert {entry.name for entry in tmp_path.iterdir()} == {"bin", path.name}


def test_not_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"song\.m4a: \.m4a needs ffmpeg, which is not installed; install it, or"):
        files.write(tmp_path / "song.m4a", AUDIO)
    assert not list(tmp_path.iterdir())
