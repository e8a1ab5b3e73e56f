"""ECAPA-TDNN: what SpeechBrain's own classes give, from weights that are checked, and never a download or a pickle."""

import importlib.util
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders.ecapa import CONVERT, PUBLISHED, EcapaEncoder
from svc.errors import DataError, WeightsError
from svc.utils.optional import import_optional

NETWORK, BANDS, CENTRE = (
    f"speechbrain.{module}" for module in ("lobes.models.ECAPA_TDNN", "lobes.features", "processing.features")
)
SUNG = render(SINGERS[0], phrase(0)).samples[24_000:40_000]
HINT = (
    r"make it with `hf download speechbrain/spkrec-ecapa-voxceleb embedding_model\.ckpt --local-dir \.` "
    r"and `python -c \"import .*weights_only=True.*\"`, or use another speaker encoder$"
)


@pytest.fixture(autouse=True)
def path(monkeypatch, tmp_path) -> Path:
    """Where the weights belong, in an empty cache; there is no network."""

    def refuse(*args, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "svc" / "ecapa.safetensors"


class Network(nn.Module):
    """As SpeechBrain's to its caller: frames (1, N, 80) to (1, 1, 192)."""

    def __init__(self, channels, **options):
        super().__init__()
        assert {"channels": channels, **options} == PUBLISHED
        self.fc = nn.Linear(80, 192)
        self.bn = nn.BatchNorm1d(192)

    def forward(self, frames):
        return self.bn(self.fc(frames[:, 0]))[:, None]


@pytest.fixture
def small(monkeypatch) -> dict[str, torch.Tensor]:
    """A small library in the place of SpeechBrain, and weights for it."""

    def bands(n_mels):
        return nn.Unflatten(1, (-1, n_mels))

    def centre(norm_type, std_norm):
        assert (norm_type, std_norm) == ("sentence", False)
        return nn.Identity()

    monkeypatch.setitem(sys.modules, NETWORK, SimpleNamespace(ECAPA_TDNN=lambda bands, **options: Network(**options)))
    monkeypatch.setitem(sys.modules, BANDS, SimpleNamespace(Fbank=bands))
    monkeypatch.setitem(sys.modules, CENTRE, SimpleNamespace(InputNormalization=centre))
    torch.manual_seed(0)
    weights = Network(**PUBLISHED).state_dict()
    weights["bn.running_mean"] = torch.randn(192)
    return weights


def put(path: Path, weights: dict[str, torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)


class TestSentences:
    def test_no_library(self, small, path, monkeypatch):
        put(path, small)
        monkeypatch.setitem(sys.modules, NETWORK, None)
        with pytest.raises(DataError, match=rf"^{NETWORK} is not installed; run `pip install -e '\.\[ecapa\]'"):
            EcapaEncoder()

    def test_what_it_says_makes_the_weights(self, small, path, tmp_path):
        torch.save(small, tmp_path / "embedding_model.ckpt")
        subprocess.run([sys.executable, *shlex.split(CONVERT)[1:]], cwd=tmp_path, check=True)
        made = load_file(path)
        assert made.keys() == small.keys()
        assert all(torch.equal(made[name], small[name]) for name in made)
        EcapaEncoder()

    @pytest.mark.parametrize("keep", [0, -1])
    def test_damaged(self, small, path, keep):
        put(path, small)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(WeightsError, match=rf"^{path}: damaged \(.*\); {HINT}"):
            EcapaEncoder()

    def test_a_pickle_is_not_run(self, small, path, tmp_path):
        path.parent.mkdir(parents=True)
        path.write_text(f"cos\nmkdir\n(S'{tmp_path / 'boom'}'\ntR.")
        with pytest.raises(WeightsError, match=rf"^{path}: damaged "):
            EcapaEncoder()
        assert not (tmp_path / "boom").exists()

    def test_another_network(self, small, path):
        put(path, small | {"fc.weight": torch.zeros(192, 81)})
        with pytest.raises(
            WeightsError, match=rf"^{path}: fc.weight is missing, unknown or of the wrong shape; {HINT}"
        ):
            EcapaEncoder()
        put(path, small | {"fc.bias": torch.full((192,), torch.nan)})
        with pytest.raises(WeightsError, match=rf"^{path}: fc\.bias holds values that are not .*; {HINT}"):
            EcapaEncoder()


def test_the_weights_of_the_file_are_those_that_speak(small, path):
    """Its running mean too, so that it is not in training."""
    put(path, small)
    samples = noise(800)
    embedding = EcapaEncoder()(torch.from_numpy(samples)[None])["embedding"][0, :, 0].numpy()
    expected = small["fc.weight"].double().numpy() @ samples[:80] + small["fc.bias"].numpy()
    expected = (expected - small["bn.running_mean"].numpy()) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(embedding, expected, atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("speechbrain") is None, reason="could not import 'speechbrain'")
class TestSpeechBrain:
    @pytest.fixture(scope="class")
    @classmethod
    def home(cls, tmp_path_factory) -> Path:
        """With random weights, and random statistics of the batches that they never saw."""
        home = tmp_path_factory.mktemp("home")
        torch.manual_seed(0)
        weights = import_optional(NETWORK).ECAPA_TDNN(80, **PUBLISHED).state_dict()
        for name, value in weights.items():
            if name.endswith(("running_mean", "running_var")):
                value.uniform_(0.5, 1.5)
        put(home / "svc" / "ecapa.safetensors", weights)
        return home

    @pytest.fixture
    def encoder(self, home, monkeypatch) -> EcapaEncoder:
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        return EcapaEncoder()

    def test_it_is_what_speechbrains_own_pipeline_gives(self, encoder, home):
        """With the published hyper-parameters written out, and the relative lengths that it hands on."""
        network = import_optional(NETWORK).ECAPA_TDNN(
            input_size=80,
            channels=[1024] * 4 + [3072],
            kernel_sizes=[5, 3, 3, 3, 1],
            dilations=[1, 2, 3, 4, 1],
            attention_channels=128,
            lin_neurons=192,
        )
        network.load_state_dict(load_file(home / "svc" / "ecapa.safetensors"))
        lengths = torch.ones(1)
        with torch.inference_mode():
            bands = import_optional(BANDS).Fbank(n_mels=80)(torch.from_numpy(SUNG)[None])
            bands = import_optional(CENTRE).InputNormalization(norm_type="sentence", std_norm=False)(bands, lengths)
            expected = network.eval()(bands, lengths)
        embedding = encoder(torch.from_numpy(SUNG)[None])["embedding"]
        assert torch.equal(embedding, expected.transpose(1, 2))
