"""The recipes really run, small: the demo from synthesis to report, and training through Accelerate's launcher."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from svc import cli
from svc.audio.files import Audio, write
from svc.config import to_tree
from svc.data.synthetic import singers as synthetic
from svc.data.synthetic.phrases import phrase
from svc.errors import DataError, TrainingError
from svc.evaluation import protocol
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
    assert {name: systems.count(name) for name in ("voice", "source_filter", "copied", "equalised", "truth")} == {
        "voice": 16,  # 4 of them reconstructions
        "source_filter": 16,
        "copied": 12,
        "equalised": 12,
        "truth": 12,
    }
    distances = [row["mcd"] for row in scores["rows"] if row["system"] in ("copied", "truth")]
    assert all(distance > 0 for distance in distances)
    assert (tmp_path / "demo" / "conversion.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "demo" / "evaluation" / "report.html").read_text()
    assert page.count("data:audio/flac;base64,") == 12 * 3
    assert page.count("data:image/png;base64,") == 12 * 3 + 1
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


def write_ravdess(data: Path) -> None:
    """Two songs and a sentence by each of two actors."""
    for actor in ("actor01", "actor02"):
        for kind, code, repetition in (("song", "02", "01"), ("song", "02", "02"), ("speech", "01", "01")):
            (data / actor / kind).mkdir(parents=True, exist_ok=True)
            path = data / actor / kind / f"03-{code}-05-01-02-{repetition}-{actor[-2:]}.flac"
            path.write_text(f"{actor} {kind} {repetition}")


def test_ravdess_is_laid_out(tmp_path, capsys, monkeypatch):
    write_ravdess(tmp_path / "data")
    ravdess = recipe("evaluate_ravdess")
    monkeypatch.setattr(ravdess, "STEP", 1)
    ravdess.main(tmp_path / "data", tmp_path / "out")
    assert "4 songs of 2 speakers" in capsys.readouterr().out
    songs = protocol.find_songs(tmp_path / "out" / "songs")
    assert [song.id for song in songs][:2] == ["actor01/05-01-02-01", "actor01/05-01-02-02"]
    assert songs[0].text == "Dogs are sitting by the door.\n"
    takes = protocol.find_parallel_takes(tmp_path / "out" / "truths", "actor02", songs[0])
    assert [take.read_text() for take in takes] == ["actor02 song 01", "actor02 song 02"]
    speech = protocol.find_recordings(tmp_path / "out" / "by_speech", "--enrolment")
    assert [len(paths) for paths in speech.values()] == [1, 1]
    with pytest.raises(DataError, match="exists already"):
        ravdess.main(tmp_path / "data", tmp_path / "out")


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
