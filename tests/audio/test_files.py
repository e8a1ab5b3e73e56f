"""Reading and writing files: everything odd is read, everything broken is refused in one sentence."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import AMPLITUDE, SECONDS, TONE, make_zoo, tone

from svc.audio.files import FORMATS, MAX_PEAK, MIN_SECONDS, Audio, read, write
from svc.audio.integrity import is_complete
from svc.errors import AudioError

QUANTUM = 2.0**-23  # of 24 bits
LOSSY = {".ogg", ".oga", ".opus", ".mp3"}
fuzz = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch") / "file"


def peak_frequency(audio: Audio) -> float:
    """Frequency of the highest peak of the spectrum, by a parabola through the log of three bins, in Hz."""
    spectrum = np.log(np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples)))) + 1e-12)
    k = int(spectrum[1:-1].argmax()) + 1
    before, at, after = spectrum[k - 1 : k + 2]
    return (k + (before - after) / (2 * (before - 2 * at + after))) * audio.rate / len(audio.samples)


def assert_refused(path: Path, *, of: str = "") -> None:
    with pytest.raises(AudioError) as refusal:
        read(path)
    text = str(refusal.value)
    assert text.isprintable()
    assert text.startswith((str(path), ascii(str(path))))
    assert ";" in text
    assert of in text
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


# --- the zoo ---

REASONS = {
    "0 bytes": "empty", "text": "not audio", "1 sample": "0.000 s long", "silence": "silent",
    "NaN": "not numbers", "infinite": "not numbers", "peak 1e6": "1e+06 times", "folder": "is a folder",
    "anti-phase stereo": "cancel", "dangling symlink": "gone", "symlink loop": "symbolic links",
    "missing": "no such file", "header claims 1 GB": "cut short", "header only": "cut short",
    "IMA ADPCM": "IMA_ADPCM", "GSM": "GSM610", "4000 Hz": "4000 Hz", "line break in the name": "not audio",
    "flac cut in half": "damaged",
    **{f"{kind} cut in half": "cut short" for kind in ("wav", "mp3")},
    **{f"random bytes as {kind}": "not audio" for kind in ("flac", "mp3", "ogg")},
}  # fmt: skip


def test_bad_files_are_refused(zoo, capfd):
    assert zoo[0].keys() == REASONS.keys()
    for what, path in zoo[0].items():
        assert_refused(path, of=REASONS[what])
    assert capfd.readouterr().out == ""


def test_good_files_are_read(zoo, capfd):
    for what, path in zoo[1].items():
        audio = read(path)
        assert audio.samples.dtype == np.float32, what
        assert audio.samples.ndim == 1, what
        assert np.isfinite(audio.samples).all(), what
        assert audio.rate == soundfile.info(path).samplerate, what
        assert audio.seconds == pytest.approx(SECONDS, abs=0.5 / audio.rate), what
        assert peak_frequency(audio) == pytest.approx(TONE, abs=0.1), what
        middle = audio.samples[len(audio.samples) // 4 : -len(audio.samples) // 4]
        assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(AMPLITUDE, rel=0.02), what
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("extension", [".flac", ".ogg", ".mp3"])
def test_clicks_stay_where_they_are(tmp_path, extension):
    """Whatever a coder puts before the first sample."""
    clicks = np.zeros(2 * 44_100)
    clicks[11_025::11_025] = 0.8
    soundfile.write(tmp_path / f"clicks{extension}", clicks, 44_100)
    coded = read(tmp_path / f"clicks{extension}").samples
    assert len(coded) == len(clicks)
    for place in range(11_025, len(clicks), 11_025):
        assert place - 500 + np.abs(coded[place - 500 : place + 500]).argmax() == place


def test_paths_that_are_no_files(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.wav")
    assert_refused(tmp_path / "pipe.wav", of="pipe")
    assert_refused(tmp_path / ("x" * 300 + ".wav"), of="too long")
    assert_refused(Path("nul\0byte.wav"))
    assert_refused(tmp_path / "missing" / "x.wav", of="no such file")
    monkeypatch.chdir(tmp_path)
    soundfile.write(tmp_path / "tone.wav", tone(), 16_000)
    (tmp_path / "tone.wav").rename(tmp_path / "-")  # libsndfile reads standard input for this name
    (tmp_path / os.fsdecode(b"caf\xe9.raw")).symlink_to("-")  # not UTF-8, and a name for headerless audio
    for name in ("-", os.fsdecode(b"caf\xe9.raw")):
        assert len(read(Path(name)).samples) == 16_000


# --- limits ---


@pytest.mark.parametrize(
    ("seconds", "gain", "reason"),
    [
        (MIN_SECONDS, 1, None),
        (MIN_SECONDS - 1e-4, 1, "long"),
        (1, 2 * MAX_PEAK, None),
        (1, 2.02 * MAX_PEAK, "times full scale"),
        (1, 2 * 10 ** (-56 / 20), None),  # a sine's level is 3 dB below its peak: here -59 dB
        (1, 2 * 10 ** (-58 / 20), "silent"),
    ],
)
def test_limits(tmp_path, seconds, gain, reason):
    soundfile.write(tmp_path / "x.wav", tone(seconds=seconds) * gain, 16_000, subtype="FLOAT")
    if reason:
        assert_refused(tmp_path / "x.wav", of=reason)
    else:
        assert len(read(tmp_path / "x.wav").samples) == round(seconds * 16_000)


@pytest.mark.parametrize(("left", "read_it"), [(0.3, True), (0.1, False)])
def test_channels_that_nearly_cancel(tmp_path, left, read_it):
    soundfile.write(tmp_path / "x.wav", np.stack([tone(), (left - 1) * tone()], axis=1), 16_000, "PCM_24")
    if read_it:
        assert np.abs(read(tmp_path / "x.wav").samples).max() == pytest.approx(AMPLITUDE * left / 2, rel=0.01)
    else:
        assert_refused(tmp_path / "x.wav", of="cancel")


@pytest.mark.parametrize(("length", "reason"), [(0, "how long"), (2**36 - 1, "damaged"), (16_001, "damaged")])
def test_flac_that_lies_about_its_length(tmp_path, length, reason):
    path = tmp_path / "x.flac"
    soundfile.write(path, tone(), 16_000)
    data = bytearray(path.read_bytes())
    data[18:26] = (int.from_bytes(data[18:26]) >> 36 << 36 | length).to_bytes(8)
    path.write_bytes(data)
    assert_refused(path, of=reason)


# --- files cut short ---


@pytest.mark.parametrize("kind", ["WAV", "RF64"])
def test_no_cut_of_a_wav_goes_unnoticed(tmp_path, kind, capfd):
    path = tmp_path / "x.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(96_000)
    soundfile.write(path, samples, 48_000, format=kind)
    data = path.read_bytes()
    assert is_complete(path)
    read(path)
    for length in [*range(1, 200, 7), *(len(data) * part // 20 for part in range(1, 20)), len(data) - 2]:
        path.write_bytes(data[:length])
        assert_refused(path)
    assert capfd.readouterr() == ("", "")


# --- writing ---


@pytest.mark.parametrize("extension", sorted(FORMATS))
def test_every_format_round_trips(tmp_path, extension):
    path = tmp_path / f"x{extension.upper()}"
    write(path, Audio(tone(48_000).astype(np.float32), 48_000))
    kind, subtype = FORMATS[extension]
    assert (soundfile.info(path).format, soundfile.info(path).subtype) == (kind, subtype)
    back = read(path)
    assert back.rate == 48_000
    tolerance = 0.02 if extension in LOSSY else QUANTUM
    np.testing.assert_allclose(back.samples[1000:-1000], tone(48_000)[1000:-1000], atol=tolerance)
    assert len(back.samples) == 48_000
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert list(tmp_path.iterdir()) == [path]


def test_long_ogg(tmp_path):
    """libsndfile 1.2.2 dies of a segmentation fault if given ten minutes at once."""
    samples = np.tile(tone().astype(np.float32), 600)
    write(tmp_path / "long.ogg", Audio(samples, 16_000))
    assert soundfile.info(tmp_path / "long.ogg").frames == len(samples)


def assert_not_written(path: Path, samples: np.ndarray, *, of: str, rate: int = 16_000) -> None:
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else None
    with pytest.raises(AudioError, match=r"^[^\n]*;[^\n]*$") as refusal:
        write(path, Audio(samples.astype(np.float32), rate))
    assert of in str(refusal.value)
    assert before is None or sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("limit", [0, 50_000])
def test_no_room(tmp_path, extension, limit, capfd):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        noise = 0.3 * np.random.default_rng(0).standard_normal(600_000)
        assert_not_written(tmp_path / f"x{extension}", noise, of="cannot be written")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert capfd.readouterr() == ("", "")


def test_refusals_to_write(tmp_path):
    for name in ("x.xyz", "x", "x.raw", "x.mat5", ".wav"):
        assert_not_written(tmp_path / name, tone(), of="unknown audio format")
    (tmp_path / "folder.wav").mkdir()
    assert_not_written(tmp_path / "folder.wav", tone(), of="Is a directory")
    assert_not_written(tmp_path / "missing" / "x.wav", tone(), of="No such file or directory")
    (tmp_path / "file").touch()
    assert_not_written(tmp_path / "file" / "x.wav", tone(), of="Not a directory")
    assert_not_written(tmp_path / "nul\0byte.wav", tone(), of="null byte")
    assert_not_written(tmp_path / ("x" * 300 + ".wav"), tone(), of="too long")
    assert_not_written(tmp_path / "x.wav", tone() * np.nan, of="not numbers")


# --- properties ---

EDITS = st.lists(
    st.tuples(st.sampled_from(["set", "cut", "insert", "end"]), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=6,
)


def read_or_refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        audio = read(path)
    except AudioError as refusal:
        text = str(refusal)
        assert text.isprintable()
        assert text.startswith(str(path))
        assert ";" in text
    else:
        assert np.isfinite(audio.samples).all()


@pytest.fixture(scope="module")
def seeds(scratch):
    """A small file of each format, and two more encodings of WAV."""
    samples = (0.3 * np.random.default_rng(0).standard_normal(6_000)).astype(np.float32)
    variants = [*FORMATS.values(), ("WAV", "DOUBLE"), ("WAVEX", "FLOAT"), ("CAF", "ALAC_16")]
    files = []
    for kind, subtype in variants:
        soundfile.write(scratch, samples, 16_000, format=kind, subtype=subtype)
        files.append(scratch.read_bytes())
    return files


@fuzz
@given(which=st.integers(0, len(FORMATS) + 2), header=st.booleans(), edits=EDITS)
def test_any_damage_is_read_or_refused(scratch, seeds, which, header, edits):
    data = bytearray(seeds[which])
    for edit, where, value in edits:
        at = int(where * (min(len(data), 100) if header else len(data)))
        if edit == "set":
            data[at : at + len(value)] = value
        elif edit == "cut":
            del data[at : at + value[0]]
        elif edit == "insert":
            data[at:at] = value
        else:
            del data[at:]
    read_or_refuse(scratch, bytes(data))
