"""Export: a run of another version is refused with one line, and nothing is written."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from test_cli import svc

from svc.config import to_tree
from svc.features import extract
from svc.features.speaker import Speaker
from svc.features.training_data import TrainingData
from svc.inference.voice import VoiceFile
from svc.training import checkpoint, state
from svc.utils import atomic


def write_run(run: Path, voice: VoiceFile, change=lambda meta: None, step: int = 100, **options) -> None:
    """A run with one checkpoint, whose meta was changed first, or whose network has other options."""
    config = replace(voice.config, model=replace(voice.config.model, **options))
    current = state.create_state(config, content_channels=20, num_speakers=2, device=torch.device("cpu"))
    current.step = step
    meta = {
        "config": to_tree(voice.config),
        "features": json.loads(json.dumps(extract.feature_fingerprint(voice.config))),
        "content_channels": 20,
        "speakers": [asdict(Speaker(s.name, s.seconds, *s.range, s.level)) for s in voice.speakers],
    }
    change(meta)
    checkpoint.write(run, current, meta, keep=1)


@pytest.mark.parametrize("says", [True, False], ids=["says its features", "does not, as the first runs did"])
def test_a_run_of_this_version_is_exported(says, voice, tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run", voice, lambda meta: None if says else meta.pop("features"))
    code, out, err = svc(monkeypatch, capsys, "export", tmp_path / "run", "-o", tmp_path / "v.safetensors")
    assert code == 0, err
    assert "next: svc convert" in out
    assert VoiceFile.load(tmp_path / "v.safetensors").config == voice.config


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(voice, tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run", voice)
    command = ("export", tmp_path / "run", "-o", tmp_path / "v.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(atomic.Path, "replace", full_disk)
        code, _, err = svc(monkeypatch, capsys, *command)
    assert (code, err.count("\n")) == (2, 1)
    assert "v.safetensors: cannot be written (No space left on device)" in err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert svc(monkeypatch, capsys, *command)[0] == 0


def full_disk(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_wavenet_that_was_never_trained_is_left_out(voice, tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run", voice, step=voice.config.train.wavenet_start_step)
    write_run(tmp_path / "longer", voice, step=voice.config.train.wavenet_start_step + 1)
    for run in ("run", "longer"):
        code, _, err = svc(monkeypatch, capsys, "export", tmp_path / run, "-o", tmp_path / f"{run}.safetensors")
        assert code == 0, err
    shorter, longer = (VoiceFile.load(tmp_path / f"{run}.safetensors") for run in ("run", "longer"))
    assert shorter.generator.wavenet is None
    assert shorter.config.model.wavenet.layers == 0
    assert longer.generator.wavenet is not None


def test_what_the_voice_was_trained_on_goes_into_it(voice, tmp_path, monkeypatch, capsys):
    """Licences and credits stand in the card; the voice of non-commercial recordings is not free."""
    data = TrainingData(frozenset({b"12345"}), {"CC BY-NC-SA 4.0": 2.5}, ("RAVDESS",))
    write_run(tmp_path / "run", voice, lambda meta: meta.update(training_data=data.to_tree()))
    out = tmp_path / "v.safetensors"
    code, _, err = svc(monkeypatch, capsys, "export", tmp_path / "run", "-o", out, "--licence", "MIT")
    assert (code, out.exists()) == (2, False)
    assert "--licence MIT: 2.5 minutes of the recordings are CC BY-NC-SA 4.0; give a non-commercial licence" in err
    code, _, err = svc(monkeypatch, capsys, "export", tmp_path / "run", "-o", out, "--licence", "CC BY-NC-SA 4.0")
    assert code == 0, err
    assert VoiceFile.load(out).training_data == data
    _, listed, _ = svc(monkeypatch, capsys, "speakers", out)
    assert "licences of the recordings: CC BY-NC-SA 4.0 (2.5 min)\ncredits: RAVDESS\n" in listed


def without_lowest_f0(meta):
    for speaker in meta["speakers"]:
        del speaker["low_f0"]


META = {
    "older features": lambda meta: meta["features"].update(version=extract.VERSION - 1),
    "another encoder": lambda meta: meta["features"]["content"].__setitem__(1, "another hash"),
    "an option that is gone": lambda meta: meta["config"]["model"].update(dilations=10),
    "speakers with less": without_lowest_f0,
    "speakers with more": lambda meta: meta["speakers"][0].update(age=30),
    "a config elsewhere": lambda meta: meta.update(options=meta.pop("config")),
    "other content": lambda meta: meta.update(content_channels=64),
}
MODELS = {"narrower": {"hidden_channels": 8}, "without a source-filter stage": {"source_filter": False}}


@pytest.mark.parametrize("version", [*META, *MODELS])
def test_a_run_of_another_version_is_refused_and_nothing_is_written(version, voice, tmp_path, monkeypatch, capsys):
    change, options = META.get(version, lambda meta: None), MODELS.get(version, {})
    write_run(tmp_path / "run", voice, change, **options)
    before = sorted(tmp_path.rglob("*"))
    out = ("-o", tmp_path / "v.safetensors", "--onnx", tmp_path / "v.onnx")
    code, out_text, err = svc(monkeypatch, capsys, "export", tmp_path / "run", *out)
    folder = tmp_path / "run" / "checkpoints" / "step_00000100"
    assert (code, out_text) == (2, "")
    assert err == f"svc: {folder}: of another version; train again, or use the svc that made it\n"
    assert sorted(tmp_path.rglob("*")) == before
