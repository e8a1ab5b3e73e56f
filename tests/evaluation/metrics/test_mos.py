"""Predicted MOS: the right audio reaches the networks."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from svc.audio.files import Audio
from svc.evaluation.metrics.mos import load_mos_predictor


def level(value: float, seconds: float, rate: int = 16_000) -> Audio:
    return Audio(np.full(round(seconds * rate), value, dtype=np.float32), rate)


def test_dnsmos_gets_16_khz_within_full_scale(monkeypatch):
    inputs = []

    def run(samples, sr):
        inputs.append((samples, sr))
        return {"ovrl_mos": np.float64(1.0), "sig_mos": np.float64(2.0), "bak_mos": 3.0, "p808_mos": np.float32(4.0)}

    monkeypatch.setitem(sys.modules, "speechmos.dnsmos", SimpleNamespace(run=run))
    time = np.arange(44_100) / 44_100
    scores = load_mos_predictor("dnsmos")(Audio((1.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 44_100))
    assert scores == {"dnsmos_ovrl": 1.0, "dnsmos_sig": 2.0, "dnsmos_bak": 3.0, "dnsmos_p808": 4.0}
    ((samples, rate),) = inputs
    assert (rate, samples.shape, samples.dtype) == (16_000, (16_000,), np.float32)
    assert np.abs(samples).max() == 1.0
    assert np.abs(np.fft.rfft(samples)).argmax() == 440


def test_distillmos_gets_16_khz_in_pieces(monkeypatch, capsys):
    inputs = []

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            print("weights loaded from: /somewhere")

        def forward(self, audio):
            inputs.append((audio.shape, self.training))
            return audio.mean(dim=1)

    monkeypatch.setitem(sys.modules, "distillmos", SimpleNamespace(ConvTransformerSQAModel=Network))
    predict = load_mos_predictor("distillmos")
    assert predict(level(0.5, 2.0, 32_000)) == {"distillmos": pytest.approx(0.5, abs=1e-3)}
    assert predict(level(0.25, 60.0)) == {"distillmos": 0.25}
    assert capsys.readouterr().out == ""
    assert inputs == [((1, 32_000), False), ((1, 480_000), False), ((1, 480_000), False)]
