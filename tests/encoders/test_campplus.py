"""CAM++: the architecture, the check of its weights, and, where the published weights are, reference values."""

import hashlib

import numpy as np
import pytest
import torch

from svc.encoders import campplus
from svc.encoders.campplus import CamPlusPlus, CamPlusPlusEncoder
from svc.errors import WeightsError
from svc.evaluation.metrics import speaker

REFERENCE = [-0.295888, 1.163361, -0.122269, -0.511635, -1.011094, 0.273787]  # of tone(2.0), by 3D-Speaker's network
REFERENCE_NORM = 8.849683


def tone(seconds: float) -> np.ndarray:
    times = np.arange(round(16_000 * seconds)) / 16_000
    phase = 2 * np.pi * np.cumsum(220 + 20 * np.sin(2 * np.pi * 5 * times)) / 16_000
    return sum(0.2 / k * np.sin(k * phase) for k in range(1, 9)).astype(np.float32)


def embed(encoder: CamPlusPlusEncoder, seconds: float) -> np.ndarray:
    return encoder(torch.from_numpy(tone(seconds))[None])["embedding"][0, :, 0].numpy()


@pytest.fixture
def random_weights(tmp_path, monkeypatch):
    """A folder with weights of the right shapes, whose hash is pinned instead of the published one."""
    torch.manual_seed(0)
    network = CamPlusPlus()
    torch.save(network.state_dict(), tmp_path / campplus.FILE)
    digest = hashlib.sha256((tmp_path / campplus.FILE).read_bytes()).hexdigest()
    monkeypatch.setattr(campplus, "SHA256", digest)
    return tmp_path


def test_parameters_of_the_published_network():
    state = CamPlusPlus().state_dict()
    assert len(state) == 937
    assert sum(p.numel() for p in CamPlusPlus().parameters()) == 6_848_544
    assert state["xvector.block3.tdnnd16.linear1.weight"].shape == (128, 992, 1)
    assert state["head.layer1.0.shortcut.0.weight"].shape == (32, 32, 1, 1)
    assert "head.layer1.1.shortcut.0.weight" not in state
    assert "xvector.dense.nonlinear.batchnorm.weight" not in state


def test_weights_are_checked_before_they_are_read(random_weights, monkeypatch):
    assert embed(CamPlusPlusEncoder(random_weights / campplus.FILE), 0.5).shape == (192,)
    with (random_weights / campplus.FILE).open("ab") as stream:
        stream.write(b"x")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read although the hash differs"))
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        CamPlusPlusEncoder(random_weights / campplus.FILE)


def test_missing_weights_name_file_and_source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"svc/campplus_cn_en_common\.pt: not found; download .* from modelscope"):
        CamPlusPlusEncoder()
    with pytest.raises(WeightsError, match="elsewhere"):
        speaker.load_speaker_similarity(f"campplus:{tmp_path / 'elsewhere'}", {})


@pytest.mark.skipif(not (campplus.cache_folder() / campplus.FILE).is_file(), reason="no CAM++ weights in the cache")
def test_reference_values():
    """The same input through 3D-Speaker's own network."""
    embedding = embed(CamPlusPlusEncoder(), 2.0)
    assert np.linalg.norm(embedding) == pytest.approx(REFERENCE_NORM, rel=1e-4)
    assert embedding[:6] == pytest.approx(REFERENCE, abs=1e-3)
