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

from svc.audio.files import Audio, write
from svc.config import to_tree
from svc.data import manifest, prepare, synthetic
from svc.errors import DataError, TrainingError
from svc.training import loop
from svc.voice import Voice

ROOT = Path(__file__).parents[1]


def run_recipe(name: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code and outputs of a recipe run as a program."""
    command = [sys.executable, f"recipes/{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


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


def test_demo_from_singers_to_report(config_file, tmp_path):
    code, out, err = run_recipe("demo.py", "-o", str(tmp_path / "demo"), "-c", str(config_file), "--phrases", "2")
    assert code == 0, err
    assert "Mean:" in out
    assert "next: svc convert" in out
    scores = json.loads((tmp_path / "demo" / "scores.json").read_text())
    assert scores["seconds"] > json.loads((tmp_path / "demo" / "seconds.json").read_text())["seconds"] > 0
    assert len(scores["conversions"]) == 12
    for row in scores["conversions"]:
        assert row["source"] != row["target"]
        assert row["distance_truth"] > 0
        assert row["distance_source"] > 0
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("data:audio/flac;base64,") == 12 * 4
    assert page.count("data:image/png;base64,") == 12
    assert [s.name for s in Voice.load(tmp_path / "demo" / "voice.safetensors").singers] == [
        "alto",
        "bass",
        "soprano",
        "tenor",
    ]


class TestDemoAgain:
    """A demo is trained once, small, and left finished."""

    @pytest.fixture
    def demo(self, monkeypatch):
        module = recipe("demo")
        monkeypatch.setattr(os, "cpu_count", lambda: 1)  # prepares in this process
        return module

    @pytest.fixture
    def shorter(self, tiny):
        return replace(tiny, train=replace(tiny.train, steps=1, phrases=0, crop=0.2))

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

    def test_seconds_are_summed_over_interrupted_processes(self, demo, shorter, tmp_path, monkeypatch, capsys):
        outcomes = iter([True, False])
        monkeypatch.setattr(synthetic, "write_singers", lambda *_: None)
        monkeypatch.setattr(prepare, "prepare", lambda *_: None)
        monkeypatch.setattr(manifest, "read", lambda *_: None)
        monkeypatch.setattr(
            loop, "train", lambda _, run, *__, **___: loop.Outcome(run, 1, 1, 0.0, interrupted=next(outcomes))
        )
        clock = iter([100.0, 107.0, 1000.0, 1030.0])
        monkeypatch.setattr(demo.time, "perf_counter", lambda: next(clock))
        assert demo.train(tmp_path, shorter, 1) is None
        assert demo.train(tmp_path, shorter, 1) == 37

    def test_interrupted_it_says_what_is_next(self, demo, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(demo, "train", lambda *_: None)
        demo.main(tmp_path, ROOT / "configs" / "demo.yaml")
        assert capsys.readouterr().out == "next: run the same command again to go on\n"

    @pytest.mark.parametrize("name", ["singers/Ann/song.wav", "prepared/manifest.jsonl", "voice.safetensors"])
    def test_what_it_did_not_make_stays(self, demo, shorter, tmp_path, name):
        mine = tmp_path / name
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text("mine")
        with pytest.raises(DataError, match="not made by the demo"):
            demo.train(tmp_path, shorter, 1)
        assert mine.read_text() == "mine"
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]

    def test_its_own_singers_are_replaced(self, demo, tmp_path):
        for phrases in (2, 1):
            demo.synthesise(tmp_path, phrases)
            assert len(list((tmp_path / "singers").glob("*/*.wav"))) == 4 * phrases


class TestJudge:
    @pytest.fixture
    def judge(self):
        return recipe("judge")

    def test_singers_and_clips_must_fit(self, judge, prepared):
        with pytest.raises(DataError, match="knows Ann alone"):
            judge.choose(prepared, ["Ann"], "", 1)
        with pytest.raises(DataError, match="holds other singers than the voice"):
            judge.choose(prepared, ["alto", "Ann"], "", 1)
        with pytest.raises(DataError, match="no training clip of bass has 'alto' in it"):
            judge.choose(prepared, ["alto", "bass"], "alto", 1)
        without = replace(prepared, clips=tuple(prepared.split("train")))
        with pytest.raises(DataError, match="no held-out clip"):
            judge.choose(without, ["alto", "bass"], "", 1)

    @pytest.mark.parametrize("count", [0, 1, 3, 7, 50])
    @pytest.mark.parametrize("singers", [2, 3, 8])
    def test_targets_are_others_once_each(self, judge, prepared, singers, count):
        names = [str(number) for number in range(singers)]
        clip = replace(prepared.clips[0], singer="1")
        for position in range(5):
            targets = judge.Plan(prepared, names, {}, []).targets(clip, position, count)
            assert targets[0] == "1"
            assert len(targets) == len(set(targets)) == 1 + min(count, singers - 1)

    def test_refuses_before_it_listens(self, judge, voice, prepared, tmp_path):
        voice.save(tmp_path / "v.safetensors")
        with pytest.raises(DataError, match="holds other singers"):
            judge.main(tmp_path / "v.safetensors", prepared.folder, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    @pytest.mark.filterwarnings("ignore")  # of the extra's own
    @pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("parselmouth", "resemblyzer"))), reason="needs the eval extra"
    )
    def test_scores_and_report(self, judge, voice, prepared, tmp_path, capsys):
        known = replace(voice, singers=prepared.singers)
        known.save(tmp_path / "v.safetensors")
        judge.main(tmp_path / "v.safetensors", prepared.folder, tmp_path / "out", clips=1, targets=3, kept=1)
        rows = json.loads((tmp_path / "out" / "scores.json").read_text())
        assert [row["singer"] == row["target"] for row in rows] == [True, False]
        assert all(0 <= row["voicing"] <= 1 and abs(row["cosine"]) <= 1 for row in rows)
        printed = capsys.readouterr().out
        assert "| reconstructed | 1 |" in printed
        assert "| converted | 1 |" in printed
        assert (tmp_path / "out" / "report.html").read_text().count("data:audio/flac") == 3
        assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_compare_f0_at_any_rate(tmp_path, capsys):
    pytest.importorskip("parselmouth")
    alto = synthetic.render(synthetic.SINGERS[0], synthetic.phrase(0), 22_100)
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
    assert "done at step 2" in done.stdout
    assert f"next: svc export {run}" in done.stdout
    assert [json.loads(line)["step"] for line in (run / "losses.jsonl").read_text().splitlines()] == [1, 2]
