"""Channels of a recording: those with the voice are averaged, others are left out."""

import numpy as np
import pytest
import soundfile

from svc.audio.files import Audio, read
from svc.audio.resample import resample
from svc.config import F0Config
from svc.errors import AudioError
from svc.features import f0

RATE = 16_000
VOICE = sum(0.2 / k * np.sin(2 * np.pi * 220 * k * np.arange(2 * RATE) / RATE) for k in range(1, 12))
LFE = 0.9 * np.sin(2 * np.pi * 40 * np.arange(2 * RATE) / RATE)
SURROUND = {"left": 0, "right": 1, "centre": 2, "LFE": 3, "left back": 4, "right back": 5}


def in_channels(tmp_path, **channels: np.ndarray) -> np.ndarray:
    """What is read of a 5.1 file."""
    samples = np.zeros((2 * RATE, 6))
    for name, sound in channels.items():
        samples[:, SURROUND[name]] = sound
    soundfile.write(tmp_path / "x.wav", samples, RATE, "FLOAT", format="WAVEX")
    return read(tmp_path / "x.wav").samples


def test_the_centre_keeps_its_level_and_the_lfe_is_left_out(tmp_path):
    np.testing.assert_allclose(in_channels(tmp_path, centre=VOICE), VOICE, atol=1e-6)
    np.testing.assert_allclose(in_channels(tmp_path, centre=VOICE, LFE=LFE), VOICE, atol=1e-6)
    reverberation = {"left": 0.1 * np.roll(VOICE, 300), "right": 0.1 * np.roll(VOICE, 500)}
    np.testing.assert_allclose(in_channels(tmp_path, centre=VOICE, LFE=LFE, **reverberation), VOICE, atol=1e-6)


def test_of_surround_the_centre_alone_is_read(tmp_path):
    """Not the mean with an instrument in front; without a voice in the centre the channels in front."""
    guitar = 0.5 * np.roll(VOICE, 99)
    np.testing.assert_allclose(in_channels(tmp_path, centre=VOICE, left=guitar, right=guitar), VOICE, atol=1e-6)
    both = in_channels(tmp_path, centre=1e-3 * VOICE, left=VOICE, right=VOICE)
    np.testing.assert_allclose(both, VOICE, atol=1e-6)


def test_channels_of_like_level_are_averaged(tmp_path):
    both = in_channels(tmp_path, left=VOICE, right=0.5 * VOICE)
    np.testing.assert_allclose(both, 0.75 * VOICE, atol=1e-6)


def test_rumble_does_not_decide_what_is_silent(tmp_path):
    for path, sound in (("rumble.wav", LFE / 2), ("faint.wav", LFE / 2 + 1e-4 * VOICE)):
        soundfile.write(tmp_path / path, sound, RATE, "FLOAT")
        with pytest.raises(AudioError, match="silent"):
            read(tmp_path / path)
    anti_phase = np.stack([VOICE + LFE, LFE - VOICE], axis=1) / 2
    soundfile.write(tmp_path / "x.wav", anti_phase, RATE, "FLOAT")
    with pytest.raises(AudioError, match="cancel"):
        read(tmp_path / "x.wav")


@pytest.mark.parametrize("hertz", [20, 40])
def test_rumble_does_not_hide_the_melody(hertz):
    """Ten times the power of the voice, below it."""
    rumble = 0.9 * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE)
    audio = resample(Audio((VOICE + rumble).astype(np.float32), RATE), f0.f0_refinement.SAMPLE_RATE)
    pitch, periodicity = f0.track(audio, 200, F0Config(model="tiny"))
    np.testing.assert_allclose(pitch[5:-5], 220, rtol=0.003)
    assert periodicity[5:-5].min() > 0.5
