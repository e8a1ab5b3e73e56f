"""The recipes really run, small: the demo from synthesis to report, and training through Accelerate's launcher."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from svc import cli
from svc.audio.files import Audio, write
from svc.config import to_tree
from svc.data.synthetic import singers as synthetic
from svc.data.synthetic.phrases import phrase
from svc.errors import DataError, TrainingError
from svc.features.training_data import TrainingData, song_hash
from svc.inference.voice import VoiceFile

ROOT = Path(__file__).parents[2]


def run_recipe(monkeypatch, capsys, name: str, *arguments) -> tuple[int, str, str]:
    """Exit code and outputs of a recipe, run in this process."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.run(recipe(name).main)
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


def recipe(name: str) -> ModuleType:
    """A recipe as a module."""
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", ROOT / "recipes" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def config_file(tiny, tmp_path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(to_tree(tiny)))
    return path


def test_demo_from_singers_to_report(config_file, tmp_path, capsys):
    recipe("demo_train").main(tmp_path / "demo", config_file, phrases=2)
    out = capsys.readouterr().out
    assert "Mean:" in out
    assert "next: svc convert" in out
    scores = json.loads((tmp_path / "demo" / "evaluation" / "scores.json").read_text())
    systems = [row["system"] for row in scores["rows"]]
    assert {name: systems.count(name) for name in ("voice", "source_filter", "copied", "truth")} == {
        "voice": 16,  # 4 of them reconstructions
        "source_filter": 16,
        "copied": 12,
        "truth": 12,
    }
    distances = [row["mcd"] for row in scores["rows"] if row["system"] in ("copied", "truth")]
    assert all(distance > 0 for distance in distances)
    assert (tmp_path / "demo" / "conversion.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "demo" / "evaluation" / "report.html").read_text()
    assert page.count("data:audio/flac;base64,") == 12 * 3
    assert page.count("data:image/png;base64,") == 12 * 3
    assert [s.name for s in VoiceFile.load(tmp_path / "demo" / "voice.safetensors").speakers] == [
        "alto",
        "bass",
        "soprano",
        "tenor",
    ]


class TestDemoAgain:
    """A demo is trained once, small, and left finished."""

    @pytest.fixture
    def demo(self):
        return recipe("demo_train")

    @pytest.fixture
    def shorter(self, tiny):
        return replace(tiny, train=replace(tiny.train, steps=1, num_validation_clips=0, segment_seconds=0.2))

    def test_a_finished_run_is_only_checked(self, demo, shorter, tmp_path):
        first = demo.train(tmp_path, shorter, 1)
        assert first > 0
        losses = (tmp_path / "losses.jsonl").read_bytes()
        (tmp_path / "seconds.json").write_text('{"seconds": 1234.5}')
        assert demo.train(tmp_path, shorter, 1) == 1234.5
        assert (tmp_path / "losses.jsonl").read_bytes() == losses
        changed = replace(shorter, train=replace(shorter.train, learning_rate=0.5))
        with pytest.raises(TrainingError, match=r"the config changed \(train.learning_rate"):
            demo.train(tmp_path, changed, 1)
        with pytest.raises(TrainingError, match="the prepared clips"):
            demo.train(tmp_path, shorter, 2)
        assert json.loads((tmp_path / "seconds.json").read_text()) == {"seconds": 1234.5}

    @pytest.mark.parametrize("name", ["singers/Ann/song.wav", "prepared/manifest.jsonl", "voice.safetensors"])
    def test_what_it_did_not_make_stays(self, demo, shorter, tmp_path, name):
        mine = tmp_path / name
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text("mine")
        with pytest.raises(DataError, match="not created by the demo"):
            demo.train(tmp_path, shorter, 1)
        assert mine.read_text() == "mine"
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


def test_fit_curve(voice, tmp_path, monkeypatch, capsys):
    """A song that is new to the voice is converted to Cat, adapted from one and from two clips of speech."""
    tone = Audio((0.1 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)).astype(np.float32), 16_000)
    for name in ("Ann/old", "Ann/new", "Cat/new", "Cat/speech"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for take in (1, 2):
            write(tmp_path / "data" / name / f"{take}.wav", tone)
    data = TrainingData(frozenset({song_hash("Ann", "folder/old")}))
    replace(voice, training_data=data).save(tmp_path / "voice.safetensors")
    fitted = []

    def adapt(base, clips, *_, **__):
        fitted.append(len(list(clips.iterdir())))
        return SimpleNamespace(voice=base, outcome=SimpleNamespace(interrupted=False))

    def evaluate(request, _converter):
        songs = {path.parent.name for path in request.sources.rglob("*.wav")}
        assert (songs, request.speakers) == ({"new"}, ("Cat",))
        rows = [{"system": system, "cosine": 0.5, "mcd": 5.0} for system in ("voice", "copied", "truth")]
        return SimpleNamespace(scores=SimpleNamespace(rows=rows))

    monkeypatch.setattr("svc.adaptation.pipeline.adapt", adapt)
    monkeypatch.setattr("svc.evaluation.run.evaluate", evaluate)
    arguments = (tmp_path / "voice.safetensors", tmp_path / "data", tmp_path / "out", ["Cat"], [1.0, 2.0])
    recipe("fit_curve").main(*arguments)
    assert fitted == [1, 2]
    assert "voice 2 s: identified as target nan, cosine to the target 0.500" in capsys.readouterr().out
    assert (tmp_path / "out" / "fit_curve.png").read_bytes().startswith(b"\x89PNG")
    recipe("fit_curve").main(*arguments)
    assert fitted == [1, 2]  # existing results are reused


def test_compare_f0_at_any_rate(tmp_path, capsys):
    pytest.importorskip("parselmouth")
    alto = synthetic.render(synthetic.SINGERS[0], phrase(0), 22_100)
    write(tmp_path / "alto.wav", Audio(alto.samples[:22_050], 22_050))
    recipe("compare_f0").main([tmp_path / "alto.wav"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| tiny", "| full"))]
    assert len(rows) == 4
    assert all(float(row.split("|")[3]) < 30 for row in rows)


def test_accelerate_launch(config_file, prepared, tmp_path):
    run = tmp_path / "run"
    command = ["accelerate.commands.launch", "--cpu", "--num_processes", "1", "--num_machines", "1"]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "recipes/train.py"]
    command += [str(config_file), str(prepared.folder), "-o", str(run), "--set", "train.steps=2", "--cpu"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    assert "finished at step 2" in done.stdout
    assert f"next: svc convert --voice {run / 'voice.safetensors'}" in done.stdout
    assert [json.loads(line)["step"] for line in (run / "losses.jsonl").read_text().splitlines()] == [1, 2]
