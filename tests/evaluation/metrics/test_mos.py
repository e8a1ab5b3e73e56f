"""Predicted MOS: the right audio reaches the networks; missing weights are an error, never a download."""

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import WeightsError
from svc.evaluation.metrics.mos import load_mos_predictor


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path) -> Path:
    """An empty torch.hub cache, and no way out."""

    def refuse(*args, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "hub"


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def level(value: float, seconds: float, rate: int = 16_000) -> Audio:
    return Audio(np.full(round(seconds * rate), value, dtype=np.float32), rate)


def test_dnsmos_gets_16_khz_within_full_scale(monkeypatch):
    inputs = []

    def run(samples, sr):
        inputs.append((samples, sr))
        return {"ovrl_mos": np.float64(1.0), "sig_mos": np.float64(2.0), "bak_mos": 3.0, "p808_mos": np.float32(4.0)}

    monkeypatch.setitem(sys.modules, "speechmos.dnsmos", SimpleNamespace(run=run))
    time = np.arange(44_100) / 44_100
    scores = load_mos_predictor("dnsmos").scores(
        Audio((1.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 44_100)
    )
    assert scores == {"dnsmos_ovrl": 1.0, "dnsmos_sig": 2.0, "dnsmos_bak": 3.0, "dnsmos_p808": 4.0}
    ((samples, rate),) = inputs
    assert (rate, samples.shape, samples.dtype) == (16_000, (16_000,), np.float32)
    assert np.abs(samples).max() == 1.0
    assert np.abs(np.fft.rfft(samples)).argmax() == 440


def test_dnsmos_falls_with_noise():
    pytest.importorskip("speechmos.dnsmos", exc_type=ImportError)
    predictor = load_mos_predictor("dnsmos")
    singing = render(SINGERS[0], phrase(0)).samples[: 2_300 * 24]
    noise = np.random.default_rng(0).standard_normal(len(singing)).astype(np.float32)
    noise *= np.sqrt(np.mean(singing**2) / np.mean(noise**2)) * 10 ** (-10 / 20)
    clean, noisy = (predictor.scores(Audio(samples, 24_000)) for samples in (singing, singing + noise))
    for name in ("dnsmos_ovrl", "dnsmos_bak", "dnsmos_p808"):
        assert 1 <= noisy[name] < clean[name] - 0.2 <= 5


def test_squim_without_weights(hub):
    folder = hub / "torchaudio" / "models"
    with pytest.raises(WeightsError) as caught:
        load_mos_predictor("squim")
    assert str(caught.value).startswith(f"squim_objective_dns2020.pth is not in {folder}; fetch it with `python -c ")
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def test_squim_of_random_weights(hub):
    from torchaudio.models import squim_objective_base

    torch.manual_seed(0)
    network = squim_objective_base().eval()
    path = put(hub / "torchaudio" / "models" / "squim_objective_dns2020.pth")
    torch.save(network.state_dict(), path)
    singing = Audio(render(SINGERS[0], phrase(0)).samples[:16_000], 16_000)
    with torch.inference_mode():
        expected = [float(score) for score in network(torch.from_numpy(singing.samples)[None])]
    scores = load_mos_predictor("squim").scores(singing)
    assert list(scores) == ["squim_stoi", "squim_pesq", "squim_si_sdr"]
    assert list(scores.values()) == pytest.approx(expected, rel=1e-5)


def test_distillmos_gets_16_khz_in_pieces(monkeypatch):
    inputs = []

    class Network(torch.nn.Module):
        def forward(self, audio):
            inputs.append((audio.shape, self.training))
            return audio.mean(dim=1)

    monkeypatch.setitem(sys.modules, "distillmos", SimpleNamespace(ConvTransformerSQAModel=Network))
    predictor = load_mos_predictor("distillmos")
    assert predictor.scores(level(0.5, 2.0, 32_000)) == {"distillmos": pytest.approx(0.5, abs=1e-3)}
    assert predictor.scores(level(0.25, 60.0)) == {"distillmos": 0.25}
    assert inputs == [((1, 32_000), False), ((1, 480_000), False), ((1, 480_000), False)]
