"""Encoders of spectrograms: front ends by values computed by hand, published files, and what the networks compute."""

import hashlib
import math
import re

import numpy as np
import pytest
import torch
from networks import built
from safetensors.torch import load_file

from svc.encoders import cnn14, vggish
from svc.encoders.autoencoder import Autoencoder, AutoencoderSize
from svc.encoders.cnn14 import CNN14
from svc.encoders.random_cnn import RandomCNN1d, RandomCNN2d
from svc.encoders.vggish import VGGish
from svc.errors import WeightsError


def spectrum(bins: int, **magnitudes: float) -> torch.Tensor:
    """log(1 + |STFT|) (1, bins, 1) that is 0 but in some bins."""
    values = torch.zeros(1, bins, 1)
    for place, value in magnitudes.items():
        values[0, int(place.removeprefix("bin")), 0] = math.log1p(value)
    return values


def test_vggish_front_end_by_hand():
    """Bin 32 is 1000 Hz, 1127 ln(1 + 1000/700) = 999.98 mel; bands every (2840.0 - 185.2) / 65 mel from 185.2."""
    low, high, tone = (1127 * math.log(1 + hertz / 700) for hertz in (125, 7500, 1000))
    step = (high - low) / 65
    place = (tone - low) / step - 1  # of bands whose centres are 1 step apart
    bands = built("vggish").log_mel(spectrum(257, bin32=5.0))[0, :, 0]
    below, share = int(place), place - int(place)
    expected = torch.full((64,), math.log(0.01))
    expected[below], expected[below + 1] = math.log(5 * (1 - share) + 0.01), math.log(5 * share + 0.01)
    torch.testing.assert_close(bands, expected, atol=1e-4, rtol=0)
    assert (below, round(share, 3)) == (19, 0.464)
    assert built("vggish").log_mel(spectrum(257, bin0=9.0)).max().item() == pytest.approx(math.log(0.01), abs=1e-4)


def test_vggish_window_is_periodic_and_padded_at_its_end():
    """The magnitudes of one frame are those of 400 samples of a periodic Hann window in 512 points."""
    samples = torch.randn(1, 480, generator=torch.Generator().manual_seed(0))
    frame = samples[0, 40:440].numpy()  # about the centre of the second frame of 10 ms
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    expected = np.log1p(np.abs(np.fft.rfft(np.concatenate([frame * window, np.zeros(112)]))))
    network = built("vggish")
    network_input = []
    layers = network.layers
    network.layers = lambda spectrogram: network_input.append(spectrogram) or layers(spectrogram)
    try:
        network(samples)
    finally:
        del network.layers
    np.testing.assert_allclose(network_input[0][0, :, 1], expected, atol=1e-4)


def test_cnn14_front_end_by_hand():
    """Slaney's mel is linear below 1 kHz at 200/3 Hz each, so a band there is a triangle in Hz of unit area."""
    lowest, highest = 50 / (200 / 3), 15 + 27 * math.log(14.0) / math.log(6.4)
    step = (highest - lowest) / 65
    edges = [(lowest + number * step) * 200 / 3 for number in range(4)]  # Hz, of the first two bands
    hertz = 3 * 32_000 / 1024
    weights = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        triangle = max(0.0, min((hertz - low) / (middle - low), (high - hertz) / (high - middle)))
        weights.append(triangle * 2 / (high - low))
    bands = built("cnn14").log_mel(spectrum(513, bin3=7.0))[0, :, 0]
    expected = [10 * math.log10(max(1e-10, 49 * weight)) for weight in weights]
    assert bands[:2].tolist() == pytest.approx(expected, abs=1e-3)
    assert max(weights) > 0
    assert bands[10:].tolist() == [pytest.approx(-100.0)] * 54


def test_silence_is_minus_100_db_and_pools_average():
    network = built("cnn14")
    layers = network.layers(torch.zeros(1, 513, 8))
    assert [tuple(layer.shape) for layer in layers.values()] == [(1, 64, 32, 4), (1, 128, 16, 2), (1, 256, 8, 1)]
    block = cnn14.Block(1, 4).eval()
    x = torch.randn(1, 1, 4, 6)
    hidden = torch.relu(block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x))))))
    torch.testing.assert_close(block(x), hidden.unflatten(2, (2, 2)).unflatten(4, (3, 2)).mean(dim=(3, 5)))


class TestPublishedFile:
    @pytest.fixture(autouse=True)
    def cache(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        (tmp_path / "svc").mkdir()
        return tmp_path / "svc"

    @staticmethod
    def put(cache, monkeypatch, cls, content) -> None:
        """A file in the place of the published one, whose hash is pinned."""
        file = cache / cls.download.url.rpartition("/")[2]
        torch.save(content, file)
        pinned = hashlib.sha256(file.read_bytes()).hexdigest()
        monkeypatch.setattr(cls, "download", cls.download.__class__(**{**vars_of(cls.download), "sha256": pinned}))

    def test_early_blocks_are_cut_out(self, cache, monkeypatch):
        weights = built("cnn14").network.state_dict()
        later = {"conv_block6.conv2.weight": torch.zeros(4, 4), "fc1.bias": torch.zeros(3)}
        content = {"iteration": 1, "model": {**weights, **later}, "best": np.float64(0.431)}
        self.put(cache, monkeypatch, CNN14, content)
        encoder = CNN14()
        assert encoder.weight_hash() == built("cnn14").weight_hash()
        assert load_file(cache / "cnn14.safetensors").keys() == weights.keys()

    def test_vggish_without_its_classifier(self, cache, monkeypatch):
        weights = built("vggish").network.state_dict()
        self.put(cache, monkeypatch, VGGish, {**weights, "embeddings.0.weight": torch.zeros(4)})
        assert VGGish().weight_hash() == built("vggish").weight_hash()

    @pytest.mark.parametrize(("cls", "name"), [(VGGish, "vggish"), (CNN14, "cnn14")])
    def test_absent_is_one_line(self, cache, monkeypatch, cls, name):
        """Without a connection: what file, its size and licence, and what needs none."""
        monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("a connection"))
        file = re.escape(cls.download.url)
        sentence = (
            rf"^{name}: its weights are not in {cache}; download {file} \(\d+ MB, (Apache|CC).*{vggish.FALLBACK}$"
        )
        with pytest.raises(WeightsError, match=sentence):
            cls()

    def test_another_file_is_refused(self, cache):
        torch.save({}, cache / "vggish-10086976.pth")
        with pytest.raises(WeightsError, match=r"pth: is another file, SHA-256 [0-9a-f]{12}…; download https"):
            VGGish()


def vars_of(download) -> dict[str, object]:
    return {name: getattr(download, name) for name in download.__slots__}


def test_random_networks_are_those_of_their_seed():
    one, again, other = RandomCNN2d(seed=3), RandomCNN2d(seed=3), RandomCNN2d(seed=4)
    assert one.weight_hash() == again.weight_hash() != other.weight_hash()
    assert one.conv.weight.numel() + one.conv.bias.numel() == 128
    wide = RandomCNN1d((64,), bins=1025, padding="valid")
    assert wide.convolutions[0].weight.std().item() == pytest.approx((4 / ((1025 + 64) * 11)) ** 0.5, rel=0.02)
    x = torch.rand(1, 257, 20)
    assert one.layers(x)["conv1"].shape == (1, 32, 255, 20)
    assert RandomCNN2d(kernel_frames=3, padding="valid").layers(x)["conv1"].shape == (1, 32, 255, 18)
    assert wide.layers(torch.rand(1, 1025, 20))["conv1"].shape == (1, 64, 10)
    by_hand = x[0, 5:8, 7] @ one.conv.weight[9, 0, :, 0]
    assert one.layers(x)["conv1"][0, 9, 5, 7].item() == pytest.approx(max(0.2 * by_hand, by_hand).item(), abs=1e-5)


@pytest.mark.parametrize("size", [AutoencoderSize(), AutoencoderSize(recurrent=True)])
def test_autoencoders_have_equally_many_weights(size):
    network = Autoencoder(size)
    assert network(torch.rand(1, 257, 8)).shape == (1, 257, 8)
    count = sum(value.numel() for value in network.parameters())
    assert count == pytest.approx(sum(v.numel() for v in Autoencoder(AutoencoderSize()).parameters()), rel=0.1)
