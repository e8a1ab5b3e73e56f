"""ONNX export: the graph equals PyTorch in ONNX Runtime, holds its metadata, and appears whole or not at all."""

import json
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from conftest import TINY
from test_cli import svc

from svc.config import load
from svc.errors import SvcError, WeightsError
from svc.inference import onnx
from svc.inference.voice import VoiceFile, VoiceSpeaker
from svc.models.generator import Generator

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

KINDS = {
    "both": {},
    "source-filter stage only": {"model.wavenet.layers": 0},
    "WaveNet only": {"model.source_filter": False, "model.num_harmonics": 1},
}


@lru_cache
def exported(kind):
    """A voice of a kind, and its graph."""
    config = load(None, TINY | {"model.hidden_layers": 1} | KINDS[kind])
    torch.manual_seed(0)
    generator = Generator(config, content_channels=20, num_speakers=2).eval()
    if generator.wavenet is not None:
        torch.nn.init.normal_(generator.wavenet.output.weight, std=0.05)
    speakers = (
        VoiceSpeaker("Ann", 60.0, 220.0, 150.0, 400.0),
        VoiceSpeaker("Bob Ö.", 90.0, 110.0, 80.0, 220.0, number=1),
    )
    voice = VoiceFile.of(generator, config, speakers, {"licence": "CC0"}, "", 2)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "voice.onnx"
        assert onnx.save_onnx(voice, path) < -100
        graph = path.read_bytes()
    return voice, graph


def session(graph):
    return runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def run(session, inputs):
    return session.run(["audio"], {name: value.numpy() for name, value in zip(onnx.INPUTS, inputs, strict=True)})[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_gives_the_audio_of_the_generator(kind):
    voice, graph = exported(kind)
    graph_session = session(graph)
    for frames in (100, 37, 1):
        inputs = onnx.example_inputs(voice, frames)
        with torch.inference_mode():
            wanted = onnx._GeneratorWithTensorInputs(voice.generator, 0.4, torch.full((2,), 0.5))(*inputs).numpy()
        audio = run(graph_session, inputs)
        assert audio.shape == wanted.shape == (1, frames * voice.config.hop)
        assert np.abs(audio - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_the_graph_says_what_is_needed_to_run_it():
    voice, graph = exported("both")
    graph_session = session(graph)
    assert {i.name: i.shape for i in graph_session.get_inputs()} == {
        **{name: [1, "frames"] for name in ("f0", "voiced", "phase", "loudness", "relative_loudness")},
        "content": [1, 20, "frames"],
        "speaker": [1, 2],
        "start_frame": [1],
    }
    assert [(o.name, o.shape) for o in graph_session.get_outputs()] == [("audio", [1, "240*frames"])]
    said = {name: json.loads(text) for name, text in graph_session.get_modelmeta().custom_metadata_map.items()}
    assert said.pop("features")["content"]["encoder"] == "cepstral"
    assert said == {
        "sample_rate": 24_000,
        "hop": 240,
        "margin": voice.generator.margin,
        "content_channels": 20,
        "speakers": ["Ann", "Bob Ö."],
        "card": {"licence": "CC0"},
        "guidance": 0.4,
    }


@pytest.mark.parametrize("library", ["onnxruntime", "onnxscript"])
def test_a_missing_library_is_one_sentence(library, voice, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        SvcError, match=rf"{library} is not installed; run `pip install 'onnx[>=].* 'onnxruntime>=.*'`$"
    ):
        onnx.save_onnx(voice, tmp_path / "voice.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [0.002, float("nan")])  # nepers
def test_a_graph_that_differs_is_not_written(change, tmp_path, monkeypatch):
    voice, graph = exported("both")
    other = Generator(voice.config, content_channels=20, num_speakers=2)
    other.load_state_dict(voice.generator.state_dict())
    with torch.no_grad():
        other.source_filter.output.bias += change
    monkeypatch.setattr(onnx, "_export_graph", lambda *_: graph)
    with pytest.raises(WeightsError, match="its audio differs from PyTorch's") as caught:
        onnx.save_onnx(voice.with_generator(other), tmp_path / "voice.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_command(tmp_path, monkeypatch, capsys):
    voice, graph = exported("both")
    monkeypatch.chdir(tmp_path)
    created = replace(voice, card={"made": "step 7 of 9"})
    monkeypatch.setattr("svc.cli.export.export_run", lambda *_: created)
    monkeypatch.setattr(onnx, "_export_graph", lambda *_: graph)
    arguments = ["export", "run", "-o", "v.safetensors", "--onnx", "v.onnx"]
    code, out, _ = svc(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "v.onnx: 0." in out
    assert "MB; step 7 of 9" in out
    assert (tmp_path / "v.onnx").read_bytes() == graph
    assert VoiceFile.load(tmp_path / "v.safetensors").config == voice.config
    (tmp_path / "v.safetensors").unlink()
    code, _, err = svc(monkeypatch, capsys, *arguments)
    assert code == 2
    assert "v.onnx: exists already; add -f" in err
    assert svc(monkeypatch, capsys, *arguments, "-f")[0] == 0
    code, _, err = svc(monkeypatch, capsys, "export", "run", "-o", "a.safetensors", "--onnx", "a.safetensors")
    assert code == 2
    assert "--onnx a.safetensors: is also the voice file" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v.onnx", "v.safetensors"]
