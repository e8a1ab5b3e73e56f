"""Which names and rates can be written, known before anything is computed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from svc.audio.files import FORMATS, MAX_RATE, MIN_RATE, Audio, check_format, read, write
from svc.errors import AudioError

RATES = (8_000, 11_025, 12_000, 44_100, 48_000, 65_535, 65_537, 88_200, 96_000, 100_001, 100_010, 192_000)
MP3 = {8_000, 11_025, 12_000, 44_100, 48_000}
OPUS = {8_000, 12_000, 48_000}
FLAC = set(RATES) - {65_537, 100_001}


@pytest.mark.parametrize("extension", sorted(FORMATS))
@pytest.mark.parametrize("rate", RATES)
def test_what_is_not_refused_is_written(tmp_path, extension, rate, capfd):
    path = tmp_path / f"x{extension}"
    audio = Audio((0.1 * np.sin(2 * np.pi * 440 / rate * np.arange(rate // 2))).astype(np.float32), rate)
    if rate in {".mp3": MP3, ".opus": OPUS, ".flac": FLAC}.get(extension, RATES):
        check_format(path, rate)
        write(path, audio)
        assert soundfile.info(path).samplerate == rate
        assert len(read(path).samples) == rate // 2
    else:
        for refused in (lambda: check_format(path, rate), lambda: write(path, audio)):
            with pytest.raises(AudioError, match=rf"^[^\n]*{extension} does not take {rate} Hz; [^\n]* \.wav$"):
                refused()
        assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("rate", [-1, 0, MIN_RATE - 1, MAX_RATE + 1, 700_000, 2**40])
def test_rates_that_are_not_read_are_not_written(tmp_path, rate):
    """libsndfile 1.2.2 dies of a segmentation fault if asked for an OGG of 700 kHz."""
    for extension in FORMATS:
        with pytest.raises(AudioError, match=f"cannot hold {rate} Hz; resample it"):
            check_format(tmp_path / f"x{extension}", rate)


def test_the_name_alone(monkeypatch):
    for extension in FORMATS:
        check_format(Path(f"x{extension.upper()}"))
    with pytest.raises(AudioError, match=r"unknown audio format; end the name in \.wav"):
        check_format(Path("x.xyz"))
    monkeypatch.setattr(soundfile, "check_format", lambda kind, subtype: kind != "MP3")
    check_format(Path("x.wav"))
    with pytest.raises(AudioError, match=r"\.mp3 is not in this build of libsndfile; end the name in \.wav"):
        check_format(Path("x.mp3"))
