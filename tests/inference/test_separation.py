"""Separation: what is taken out and what is left are the mix, to the sample, whatever the network says."""

import io
import os
import urllib.error
import urllib.request
from email.message import Message
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.models import HDemucs
from torchaudio.pipelines import HDEMUCS_HIGH_MUSDB_PLUS

from svc.audio.files import Audio
from svc.audio.resample import fit_length, resample
from svc.errors import AudioError, WeightsError
from svc.inference import separation
from svc.inference.separation import NAME, SAMPLE_RATE, SOURCES, Separator, address, level, remix

SMALL = partial(HDemucs, list(SOURCES), channels=8, nfft=1024, depth=5)
ARCHIVE = "hdemucs_high_trained.pt"


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.01, 0.1, (2, samples)).astype(np.float32)


class StandIn:
    """A network whose vocal is what is said of the mix, and whose other sources are wild."""

    def __init__(self, says=lambda mix: mix):
        self.says = says
        self.heard: list[torch.Tensor] = []

    def __call__(self, mix: torch.Tensor) -> torch.Tensor:
        self.heard.append(mix)
        sources = torch.full((1, 4, *mix.shape[1:]), torch.nan)
        sources[:, 3] = self.says(mix)
        return sources


def late(mix: torch.Tensor) -> torch.Tensor:
    """Channels swapped, the first negative, both 1000 samples late."""
    return torch.nn.functional.pad(mix[:, [1, 0], :-1_000], (1_000, 0)) * torch.tensor([[-1.0], [0.5]])


@pytest.fixture(scope="module")
def small() -> HDemucs:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SMALL().eval().requires_grad_(False)


def there_and_back(mix: np.ndarray, rate: int) -> np.ndarray:
    channels = [resample(resample(Audio(channel, rate), SAMPLE_RATE), rate).samples for channel in mix]
    return np.stack([fit_length(channel, mix.shape[1]) for channel in channels])


@pytest.mark.parametrize("seconds", [0.5, 1, 8.9, 9, 9.9, 10, 10.00003, 10.5, 11, 19, 19.1, 30.25])
def test_segments_are_as_the_whole(seconds):
    """Each sample of a linear network's answer is that to the whole mix: the weights sum to one and edges do not."""
    mix = noise(round(seconds * SAMPLE_RATE))
    centred = mix - mix.mean()
    vocal, _ = Separator(network=StandIn()).separate(mix, SAMPLE_RATE)
    np.testing.assert_allclose(vocal, centred, atol=1e-6)
    vocal, _ = Separator(network=StandIn(late)).separate(mix, SAMPLE_RATE)
    np.testing.assert_allclose(vocal, late(torch.from_numpy(centred)[None])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("rate", "tolerance"), [(8_000, 2e-6), (22_050, 2e-6), (48_000, 2e-6), (96_000, 2e-6), (44_101, 5e-5)]
)
def test_segments_are_as_the_whole_at_any_rate(rate, tolerance):
    """At an odd rate resampling itself drifts, over twenty seconds more than over ten."""
    mix = noise(int(20.123 * rate))
    vocal, _ = Separator(network=StandIn()).separate(mix, rate)
    np.testing.assert_allclose(vocal, there_and_back(mix - mix.mean(), rate), atol=tolerance)


def test_what_the_network_cannot_hear_is_left():
    """A tone above half its rate stays in the rest, one below goes."""
    time = np.arange(2 * 96_000) / 96_000
    low, high = (0.3 * np.sin(2 * np.pi * hz * time) for hz in (1_000, 30_000))
    vocal, rest = Separator(network=StandIn()).separate((low + high).astype(np.float32), 96_000)
    inner = slice(4_800, -4_800)
    np.testing.assert_allclose(vocal[:, inner], np.stack([low, low])[:, inner], atol=1e-4)
    np.testing.assert_allclose(rest[:, inner], np.stack([high, high])[:, inner], atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    rate=st.integers(8_000, 96_000) | st.sampled_from([8_001, 44_100, 192_000]),
    seconds=st.floats(0, 3.5),
    gain=st.sampled_from([0.0, 1.0, -0.3, 1e6, -1e20]),
)
def test_vocal_and_rest_are_the_mix(rate, seconds, gain):
    mix = noise(1 + int(seconds * rate), seed=rate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separation, "SEGMENT", 2)
        vocal, rest = Separator(network=StandIn(lambda heard: gain * heard)).separate(mix, rate)
    assert vocal.shape == rest.shape == mix.shape
    assert vocal.dtype == rest.dtype == np.float32
    np.testing.assert_allclose(vocal + rest, mix, rtol=0, atol=1e-6)
    if gain == 0:
        assert not vocal.any()


@pytest.mark.parametrize("samples", [1, 2, 100, 4_800, 60_000])
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


@pytest.mark.parametrize("right", [1.0, 0.0, -1.0])
def test_the_network_hears_zero_mean_and_unit_variance(right):
    mix = noise(3 * SAMPLE_RATE)[0] * np.array([[1], [right]], np.float32)
    network = StandIn()
    Separator(network=network).separate(mix, SAMPLE_RATE)
    assert float(network.heard[0].mean()) == pytest.approx(0, abs=1e-5)
    assert float(network.heard[0].std(unbiased=False)) == pytest.approx(1, abs=1e-5)


def test_every_segment_is_heard_in_ten_seconds():
    network = StandIn()
    Separator(network=network).separate(noise(round(19.2 * 48_000)), 48_000)
    assert [round(heard.shape[-1] / SAMPLE_RATE, 3) for heard in network.heard] == [10, 10, 10.2]


def test_parts_come_as_they_are_finished():
    network = StandIn()
    parts = Separator(network=network).stream(noise(25 * 8_000), 8_000)
    lengths = [(part.shape[1] / 8_000, len(network.heard)) for part in parts]
    assert lengths == [(9, 1), (9, 2), (7, 3)]


def test_one_segment_fades_into_the_next():
    """Over the second from 9 to 10 s, linearly, but for a tenth of a second at either end."""
    network = StandIn()
    network.says = lambda heard: torch.full_like(heard, len(network.heard) - 1)
    mix = noise(12 * SAMPLE_RATE)
    vocal, _ = Separator(network=network).separate(mix, SAMPLE_RATE)
    at = (np.arange(12 * SAMPLE_RATE) + 0.5) / SAMPLE_RATE
    expected = np.clip((at - 9.1) / 0.8, 0, 1) * (mix.astype(float) - mix.mean()).std()
    np.testing.assert_allclose(vocal, [expected, expected], atol=2e-6)


def test_progress_goes_to_one():
    told = []
    Separator(network=StandIn()).separate(noise(25 * 8_000), 8_000, lambda *said: told.append(said))
    assert told == [("separate", 9 / 25), ("separate", 18 / 25), ("separate", 1)]


def test_mono_is_two_equal_channels(small):
    mono = noise(9_000)[0]
    separator = Separator(network=small)
    expected = separator.separate(np.stack([mono, mono]), 44_100)
    for mix in (mono, mono[None]):
        assert np.array_equal(separator.separate(mix, 44_100), expected)
    with pytest.raises(ValueError, match="shape"):
        separator.separate(np.zeros((3, 9_000), np.float32), 44_100)


@pytest.mark.parametrize("samples", [0, 1, 1_000, 100_000])
@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_silence_is_not_listened_to(samples, offset):
    network = StandIn(torch.ones_like)
    mix = np.full((2, samples), offset, np.float32)
    vocal, rest = Separator(network=network).separate(mix, 8_000)
    assert vocal.shape == mix.shape
    assert not vocal.any()
    assert np.array_equal(rest, mix)
    assert network.heard == []


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_told(wrong):
    mix = noise(15 * 8_000)
    network = StandIn(lambda heard: torch.where(heard == heard.max(), wrong, heard) if network.heard[1:] else heard)
    with pytest.raises(WeightsError, match="not numbers, from 9 s on; try --device cpu, or give the vocal by itself"):
        Separator(network=network).separate(mix, 8_000)
    mix[1, 7] = wrong
    with pytest.raises(AudioError, match="the mix holds samples that are not numbers"):
        Separator(network=StandIn()).separate(mix, 8_000)


# --- the converted voice in its place ---


def test_the_voice_is_given_the_vocals_level_and_place():
    tone = np.sin(2 * np.pi * np.arange(8_000) / 80).astype(np.float32)
    rest = 0.25 * noise(8_000)
    made = remix(0.05 * tone, np.stack([0.4 * tone, 0.1 * np.roll(tone, 20)]), rest)
    assert made.gains == pytest.approx((8, 2), rel=1e-5)
    assert made.lowered == 0
    np.testing.assert_allclose(made.samples, rest + np.stack([0.4 * tone, 0.1 * tone]), atol=1e-6)
    assert made.samples.dtype == np.float32


def test_the_same_voice_gives_the_mix():
    voice, rest = 0.1 * noise(5_000)[0], noise(5_000, seed=1)
    made = remix(voice, np.stack([voice, voice]), rest)
    np.testing.assert_allclose(made.samples, rest + voice, atol=1e-6)


@given(high=st.floats(0.01, 30))
def test_nothing_clips(high):
    voice = np.array([0.1, -0.1, 0.1, -0.1], np.float32)
    rest = np.full((2, 4), 0.5, np.float32)
    made = remix(voice, high * np.sign([voice, voice]).astype(np.float32), rest)
    peak = max(1.0, 0.5 + high)
    assert np.abs(made.samples).max() <= 1
    assert made.lowered == pytest.approx(20 * np.log10(peak), abs=1e-4)
    np.testing.assert_allclose(peak * made.samples, [2 * [0.5 + high, 0.5 - high]] * 2, rtol=1e-4, atol=1e-5)


def test_silence_in_its_place():
    rest, nothing = noise(100), np.zeros(100, np.float32)
    for converted, vocal in ((nothing, noise(100, 1)), (noise(100)[0], np.stack([nothing, nothing]))):
        made = remix(converted, vocal, rest)
        assert np.array_equal(made.samples, rest)
        assert made.gains == (0, 0)
    assert remix(nothing[:0], rest[:, :0], rest[:, :0]).samples.shape == (2, 0)


def test_level():
    square = np.tile(np.array([0.1, -0.1], np.float32), (2, 50))
    assert level(square) == pytest.approx(-20, abs=1e-5)
    assert level(0 * square) == level(square[:, :0]) == pytest.approx(-200)


# --- the published weights ---


def test_what_is_published():
    assert address() == "https://download.pytorch.org/torchaudio/models/hdemucs_high_trained.pt"
    assert HDEMUCS_HIGH_MUSDB_PLUS.sample_rate == SAMPLE_RATE
    with torch.device("meta"):
        network = HDEMUCS_HIGH_MUSDB_PLUS._model_factory_func()
    assert tuple(network.sources) == SOURCES
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert sum(value.numel() for value in network.parameters()) == 83_639_368


class Publisher:
    """A network that does not touch the network."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.asked: list[str] = []
        self.data: bytes | None = None
        patch.setattr(urllib.request, "urlopen", self.open)

    def open(self, where: str, timeout: float) -> io.BytesIO:
        self.asked.append(where)
        assert timeout > 0
        if self.data is None:
            raise urllib.error.URLError("Name or service not known")
        answer = io.BytesIO(self.data)
        answer.headers = Message()
        answer.headers["Content-Length"] = str(len(self.data))
        return answer

    def publish(self, content: object) -> bytes:
        stream = io.BytesIO()
        torch.save(content, stream)
        self.data = stream.getvalue()
        return self.data


@pytest.fixture
def publisher(tmp_path, monkeypatch) -> Publisher:
    monkeypatch.setattr(HDEMUCS_HIGH_MUSDB_PLUS, "_model_factory_func", SMALL)
    monkeypatch.setattr("svc.inference.separation.SHA256", None)  # of the published file, which is not this one
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Publisher(monkeypatch)


def kept(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "svc").iterdir() if path.suffix != ".lock")


def test_weights_are_fetched_once(publisher, small, tmp_path):
    publisher.publish(small.state_dict())
    ours = Separator()
    assert publisher.asked == [address()]
    for again in (ours, Separator()):
        for name, value in again.network.state_dict().items():
            assert torch.equal(value, small.state_dict()[name])
    assert publisher.asked == [address()]
    assert kept(tmp_path) == [f"{NAME}.safetensors", f"{NAME}.sha256"]
    assert not ours.network.training
    assert not any(value.requires_grad for value in ours.network.parameters())
    mix = noise(4_410)
    assert np.array_equal(ours.separate(mix, 44_100), Separator(network=small).separate(mix, 44_100))


def test_an_archive_laid_there_by_hand_is_taken(publisher, small, tmp_path):
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc" / ARCHIVE).write_bytes(publisher.publish(small.state_dict()))
    Separator()
    assert publisher.asked == []


def test_without_the_publisher_there_is_one_sentence(publisher, tmp_path):
    with pytest.raises(WeightsError) as caught:
        Separator()
    assert str(caught.value) == (
        f"{NAME}: its weights are not in {tmp_path / 'svc'} and cannot be downloaded (<urlopen error Name or service "
        f"not known>); download {address()} elsewhere and put it into that folder, or give the vocal by itself, without "
        "--separate"
    )
    assert kept(tmp_path) == []


class Attack:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_weights_that_are_not_theirs_are_refused(publisher, small, tmp_path):
    marker = tmp_path / "marker"
    state = small.state_dict()
    name = next(iter(state))
    for content, reason in (
        (state | {"more": Attack(f"touch {marker}")}, "refused"),
        ({key: value for key, value in state.items() if key != name}, f"{name} is missing"),
        (state | {name: state[name][:1]}, f"{name} is missing or of the wrong shape"),
        ({"state_dict": state}, "is missing"),
    ):
        publisher.publish(content)
        with pytest.raises(WeightsError, match=rf"^{address()}: .*{reason}.*or give the vocal by itself"):
            Separator()
        assert kept(tmp_path) == []
    publisher.publish(state | {name: torch.full_like(state[name], torch.nan)})
    with pytest.raises(WeightsError, match=f"{name} holds values that are not numbers"):
        Separator()
    assert not marker.exists()


def test_weights_that_changed_are_refused(publisher, small, tmp_path):
    publisher.publish(small.state_dict())
    Separator()
    stored = tmp_path / "svc" / f"{NAME}.safetensors"
    stored.write_bytes(stored.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(WeightsError, match=r"has changed since it was made; delete it, or give the vocal by itself"):
        Separator()


@pytest.mark.slow
def test_the_published_architecture(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    theirs = HDEMUCS_HIGH_MUSDB_PLUS._model_factory_func().eval()
    Publisher(monkeypatch).publish(theirs.state_dict())
    mix = noise(44_100)
    vocal, rest = Separator().separate(mix, 44_100)
    assert np.array_equal(vocal, Separator(network=theirs).separate(mix, 44_100)[0])
    np.testing.assert_allclose(vocal + rest, mix, rtol=0, atol=1e-6)


# --- files of two channels ---


@pytest.mark.parametrize("ending", ["wav", "flac", "aiff", "w64"])
def test_two_channels_come_back(tmp_path, ending):
    path, samples = tmp_path / f"a.{ending}", noise(48_000)
    separation.write(path, samples, 48_000)
    assert soundfile.info(path).subtype == "PCM_24"
    assert list(tmp_path.iterdir()) == [path]
    found, rate = separation.read(path)
    assert rate == 48_000
    np.testing.assert_allclose(found, samples, rtol=0, atol=2.0**-23)
    assert found.dtype == np.float32


@pytest.mark.parametrize("ending", ["mp3", "ogg", "opus"])
def test_two_channels_come_back_nearly(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    time = np.arange(96_000) / 48_000
    samples = np.stack([0.4 * np.sin(2 * np.pi * 440 * time), 0.2 * np.sin(2 * np.pi * 660 * time)]).astype(np.float32)
    separation.write(path, samples, 48_000)
    found, _ = separation.read(path)
    inner = slice(5_000, 90_000)
    for channel, amplitude in zip(found, (0.4, 0.2), strict=True):
        assert np.sqrt(2 * np.square(channel[inner]).mean()) == pytest.approx(amplitude, rel=0.02)


def test_one_channel_is_read_as_two(tmp_path):
    mono = noise(48_000)[0]
    soundfile.write(tmp_path / "a.wav", mono, 48_000, "FLOAT")
    found, _ = separation.read(tmp_path / "a.wav")
    assert np.array_equal(found, [mono, mono])


def test_files_that_are_refused(tmp_path):
    soundfile.write(tmp_path / "three.wav", np.abs(noise(48_000)[[0, 1, 1]].T), 48_000)
    with pytest.raises(AudioError, match=r"three\.wav: has 3 channels; mix it down to two"):
        separation.read(tmp_path / "three.wav")
    separation.write(tmp_path / "half.wav", noise(48_000), 48_000)
    whole = (tmp_path / "half.wav").read_bytes()
    (tmp_path / "half.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match=r"half\.wav: cut short"):
        separation.read(tmp_path / "half.wav")


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(AudioError, match="samples are not numbers"):
        separation.write(tmp_path / "a.wav", np.full((2, 9), np.nan, np.float32), 48_000)
    with pytest.raises(AudioError, match=r"a\.txt: unknown audio format"):
        separation.write(tmp_path / "a.txt", noise(9), 48_000)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be written \(No such file or directory\)"):
        separation.write(tmp_path / "nowhere" / "a.wav", noise(9), 48_000)
    (tmp_path / "taken.wav").mkdir()
    with pytest.raises(AudioError, match=r"taken\.wav: cannot be written \(Is a directory\)"):
        separation.write(tmp_path / "taken.wav", noise(9), 48_000)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.wav"]


def test_loud_samples_are_clipped(tmp_path):
    separation.write(tmp_path / "a.wav", 100 * noise(24_000), 48_000)
    assert np.abs(separation.read(tmp_path / "a.wav")[0]).max() <= 1
