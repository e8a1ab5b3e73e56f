"""Source separation: vocals and rest sum to the mix to the sample, whatever the network returns."""

from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from publisher import Publisher
from torchaudio.models import HDemucs
from torchaudio.pipelines import HDEMUCS_HIGH_MUSDB_PLUS

from svc.audio.files import Audio
from svc.audio.resample import fit_length, resample
from svc.errors import AudioError, WeightsError
from svc.inference import separation
from svc.inference.converter import ConversionOptions, Converter
from svc.inference.separation import SAMPLE_RATE, SOURCES, Separator, convert_full_mix, remix, rms_db

SMALL = partial(HDemucs, list(SOURCES), channels=8, nfft=1024, depth=5)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.01, 0.1, (2, samples)).astype(np.float32)


class StandIn:
    """A network whose vocal is what is said of the mix, and whose other sources are wild."""

    def __init__(self, says=lambda mix: mix):
        self.says = says
        self.inputs: list[torch.Tensor] = []

    def __call__(self, mix: torch.Tensor) -> torch.Tensor:
        self.inputs.append(mix)
        sources = torch.full((1, 4, *mix.shape[1:]), torch.nan)
        sources[:, 3] = self.says(mix)
        return sources


@pytest.fixture(scope="module")
def small() -> HDemucs:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SMALL().eval().requires_grad_(False)


def there_and_back(mix: np.ndarray, rate: int) -> np.ndarray:
    channels = [resample(resample(Audio(channel, rate), SAMPLE_RATE), rate).samples for channel in mix]
    return np.stack([fit_length(channel, mix.shape[1]) for channel in channels])


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_segments_are_as_the_whole_at_any_rate(rate):
    """At an odd rate resampling itself drifts, over twenty seconds more than over ten."""
    mix = noise(int(20.123 * rate))
    vocal, _ = Separator(network=StandIn()).separate(mix, rate)
    np.testing.assert_allclose(vocal, there_and_back(mix - mix.mean(), rate), atol=2e-6)


@settings(max_examples=15, deadline=None)
@given(
    rate=st.integers(8_000, 96_000) | st.sampled_from([8_001, 44_100, 192_000]),
    seconds=st.floats(0, 3.5),
    gain=st.sampled_from([0.0, 1.0, -0.3, 1e6, -1e20]),
)
def test_vocal_and_rest_are_the_mix(rate, seconds, gain):
    mix = noise(1 + int(seconds * rate), seed=rate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separation, "SEGMENT", 2 * SAMPLE_RATE)
        vocal, rest = Separator(network=StandIn(lambda inputs: gain * inputs)).separate(mix, rate)
    assert vocal.shape == rest.shape == mix.shape
    assert vocal.dtype == rest.dtype == np.float32
    np.testing.assert_allclose(vocal + rest, mix, rtol=0, atol=1e-6)
    if gain == 0:
        assert not vocal.any()


@pytest.mark.parametrize("samples", [1, 100, 60_000])
def test_the_real_architecture_takes_every_length(small, samples):
    mix = noise(samples)
    vocal, rest = Separator(network=small).separate(mix, 48_000)
    assert vocal.shape == mix.shape
    assert np.isfinite(vocal).all()
    assert vocal.any()
    np.testing.assert_allclose(vocal + rest, mix, rtol=0, atol=1e-6)


def test_it_is_the_tutorials_arithmetic(small):
    """A segment of the network's own rate, as torchaudio's authors separate it, but for the offset."""
    mix = noise(50_000)
    reference = mix.mean(axis=0)
    with torch.inference_mode():
        theirs = small(torch.from_numpy((mix - reference.mean()) / reference.std())[None])[0, 3].numpy()
    vocal, _ = Separator(network=small).separate(mix, SAMPLE_RATE)
    np.testing.assert_allclose(vocal, theirs * reference.std(), atol=2e-5 * np.abs(vocal).max())


def test_segments_of_ten_seconds_fade_into_each_other():
    """Over the second from 9 to 10 s, linearly."""
    network = StandIn()
    network.says = lambda inputs: torch.full_like(inputs, len(network.inputs) - 1)
    mix = noise(12 * SAMPLE_RATE)
    vocals, _ = Separator(network=network).separate(mix, SAMPLE_RATE)
    assert [inputs.shape[-1] / SAMPLE_RATE for inputs in network.inputs] == [10, 3]
    at = (np.arange(12 * SAMPLE_RATE) + 0.5) / SAMPLE_RATE
    expected = np.clip(at - 9, 0, 1) * (mix.astype(float) - mix.mean()).std()
    np.testing.assert_allclose(vocals, [expected, expected], atol=2e-6)


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
def test_samples_that_are_not_finite(wrong):
    mix = noise(15 * 8_000)
    network = StandIn(lambda inputs: torch.where(inputs == inputs.max(), wrong, inputs))
    with pytest.raises(WeightsError, match="infinite samples; try --device cpu, or give the vocal by itself"):
        Separator(network=network).separate(mix, 8_000)
    mix[1, 7] = wrong
    with pytest.raises(AudioError, match="the mix holds NaN or infinite samples"):
        Separator(network=StandIn()).separate(mix, 8_000)


# --- the converted voice in its place ---


def test_the_conversion_gets_the_level_and_place_of_the_vocals():
    tone = np.sin(2 * np.pi * np.arange(8_000) / 80).astype(np.float32)
    rest = 0.25 * noise(8_000)
    mixed, attenuation_db = remix(0.05 * tone, np.stack([0.4 * tone, 0.1 * np.roll(tone, 20)]), rest)
    assert attenuation_db == 0
    np.testing.assert_allclose(mixed, rest + np.stack([0.4 * tone, 0.1 * tone]), atol=1e-6)
    assert mixed.dtype == np.float32


@given(high=st.floats(0.01, 30))
def test_nothing_clips(high):
    voice = np.array([0.1, -0.1, 0.1, -0.1], np.float32)
    rest = np.full((2, 4), 0.5, np.float32)
    mixed, attenuation_db = remix(voice, high * np.sign([voice, voice]).astype(np.float32), rest)
    peak = max(1.0, 0.5 + high)
    assert np.abs(mixed).max() <= 1
    assert attenuation_db == pytest.approx(20 * np.log10(peak), abs=1e-4)
    np.testing.assert_allclose(peak * mixed, [2 * [0.5 + high, 0.5 - high]] * 2, rtol=1e-4, atol=1e-5)


# --- the published weights ---


@pytest.fixture
def publisher(tmp_path, monkeypatch) -> Publisher:
    monkeypatch.setattr(HDEMUCS_HIGH_MUSDB_PLUS, "_model_factory_func", SMALL)
    monkeypatch.setattr("svc.inference.separation.SHA256", None)  # of the published file, which is not this one
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Publisher(monkeypatch)


# --- files of two channels ---


def test_a_mono_file_is_read_as_stereo(tmp_path):
    mono = noise(48_000)[0]
    soundfile.write(tmp_path / "a.wav", mono, 48_000, "FLOAT")
    stereo, rate = separation.read_stereo(tmp_path / "a.wav")
    assert (rate, stereo.dtype) == (48_000, np.float32)
    assert np.array_equal(stereo, [mono, mono])


def test_three_channels_are_refused(tmp_path):
    soundfile.write(tmp_path / "three.wav", np.abs(noise(48_000)[[0, 1, 1]].T), 48_000)
    with pytest.raises(AudioError, match=r"three\.wav: has 3 channels; mix it down to two"):
        separation.read_stereo(tmp_path / "three.wav")


def test_a_full_mix_is_converted(voice, tone, tmp_path):
    """The vocals, here all of the left half of the mix, are converted, and the rest stays; the width is kept."""
    samples = np.stack([tone.samples, 0.5 * tone.samples])
    soundfile.write(tmp_path / "mix.wav", samples.T, tone.rate, "FLOAT")
    converter, options = Converter(voice), ConversionOptions("Ann", 0.0, save_f0_csv=tmp_path / "f0.csv")
    separator = Separator(network=StandIn(lambda mix: 0.5 * mix))
    report = convert_full_mix(converter, separator, tmp_path / "mix.wav", tmp_path / "out.wav", options)
    output, rate = separation.read_stereo(tmp_path / "out.wav")
    assert (output.shape, rate) == (samples.shape, tone.rate)
    assert "vocals 6.0 dB below the mix" in report.levels
    assert (tmp_path / "f0.csv").exists()
    centred = samples - samples.mean()
    vocals = output - (samples - 0.5 * centred)
    np.testing.assert_allclose(rms_db(vocals[0]) - rms_db(vocals[1]), 20 * np.log10(2), atol=0.1)
    assert np.abs(1200 * np.log2(report.f0[20:-20] / 196)).max() < 5
