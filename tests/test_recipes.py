"""The recipes really run, small: the demo from synthesis to report, and training through Accelerate's launcher."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from svc.config import to_tree
from svc.voice import Voice

ROOT = Path(__file__).parents[1]


def run_recipe(name: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code and outputs of a recipe run as a program."""
    command = [sys.executable, f"recipes/{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


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
    assert scores["seconds"] > 0
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
