"""Files read and written a part at a time are those read and written at once."""

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from svc.audio import files
from svc.audio.files import FORMATS, Audio, open_writer, read, read_blocks, write
from svc.errors import AudioError, file_error

RATE = 16_000


def noise(length: int, scale: float = 0.3) -> np.ndarray:
    return (scale * np.random.default_rng(length).standard_normal(length)).astype(np.float32)


# --- reading ---


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(4_800, 20_000), channels=st.integers(1, 3), size=st.integers(1, 30_000))
def test_blocks_are_the_file(tmp_path, length, channels, size):
    soundfile.write(tmp_path / "x.wav", noise(length * channels).reshape(length, channels), RATE, "FLOAT")
    whole = read(tmp_path / "x.wav")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_READ_SAMPLES", size)
        found = list(read_blocks(tmp_path / "x.wav"))
    assert {block.rate for block in found} == {RATE}
    assert all(len(block.samples) % 160 == 0 for block in found[:-1])
    assert max(len(block.samples) for block in found) <= max(1600, size // channels)
    np.testing.assert_array_equal(np.concatenate([block.samples for block in found]), whole.samples)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (noise(40_000, 1e-5), "silent"),
        (noise(4_000), "only 0.250 s"),
    ],
)
def test_what_the_end_decides_is_told_at_the_end(tmp_path, monkeypatch, samples, reason):
    soundfile.write(tmp_path / "x.wav", samples, RATE, "FLOAT")
    monkeypatch.setattr(files, "_READ_SAMPLES", 3_200)
    found = read_blocks(tmp_path / "x.wav")
    assert len(next(found).samples) == 3_200
    with pytest.raises(AudioError, match=reason):
        list(found)


def test_a_wild_sample_ends_the_blocks_where_it_is(tmp_path, monkeypatch):
    samples = noise(40_000)
    samples[20_000] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, RATE, "FLOAT")
    monkeypatch.setattr(files, "_READ_SAMPLES", 1_600)
    found = read_blocks(tmp_path / "x.wav")
    assert sum(len(next(found).samples) for _ in range(12)) == 19_200
    with pytest.raises(AudioError, match="not numbers"):
        next(found)


# --- writing ---


@pytest.mark.parametrize("extension", sorted(FORMATS))
def test_parts_make_the_same_file(tmp_path, extension):
    samples = noise(3 << 16)
    write(tmp_path / f"whole{extension}", Audio(samples, 48_000))
    with open_writer(tmp_path / f"parts{extension}", 48_000) as file:
        for part in np.split(samples, [0, 7, 20_000, 20_001, 150_000]):
            file.write(part)
            assert not (tmp_path / f"parts{extension}").exists()
    whole, parts = (read(tmp_path / f"{name}{extension}").samples for name in ("whole", "parts"))
    np.testing.assert_array_equal(parts, whole)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("failure", [ValueError, OSError, AudioError, KeyboardInterrupt])
@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg", ".mp3"])
def test_what_goes_wrong_meanwhile_leaves_nothing(tmp_path, extension, failure):
    def half() -> None:
        with open_writer(tmp_path / f"x{extension}", RATE) as file:
            file.write(noise(5_000))
            raise failure("mine")

    with pytest.raises(failure, match=r"^mine$"):
        half()
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_until_the_end(tmp_path):
    path = tmp_path / "x.wav"
    write(path, Audio(noise(8_000), RATE))
    before = path.read_bytes()

    def broken() -> None:
        with open_writer(path, RATE) as file:
            file.write(noise(5_000))
            assert path.read_bytes() == before
            file.write(np.full(3, np.inf, np.float32))

    with pytest.raises(AudioError, match="not numbers"):
        broken()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- refusals ---


def test_a_refusal_names_the_file_in_print(tmp_path):
    assert str(file_error(tmp_path / "x.wav", "gone; look for it")) == f"{tmp_path}/x.wav: gone; look for it"
    assert str(file_error(tmp_path / "a\nb", "gone")) == f"{str(tmp_path)!r}: gone".replace("':", "/a\\nb':")
