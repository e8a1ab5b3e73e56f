"""The ablation resumes: step times are measured once, and interrupted runs continue."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from test_recipes import recipe

from svc.config import to_tree
from svc.errors import ConfigError
from svc.inference.voice import VoiceFile
from svc.training import checkpoint, loop

SOURCE_FILTER_STEPS = 2
AGAIN = "next: the same command again, to go on"
COSTS = {"source-filter": 0.5, "8 channels": 0.25}  # seconds a step


class Search:
    """The recipe with two variants of one second each; step times are fixed, not measured."""

    def __init__(self, module: ModuleType, config: Path, prepared: Path, out: Path):
        self.module, self.config, self.prepared, self.out = module, config, prepared, out
        self.costs = COSTS
        self.measured: list[list[str]] = []  # at each call

    def measure(self, configs, prepared) -> dict[str, float]:
        self.measured.append([*configs])
        return {name: self.costs[name] for name in configs}

    def run(self, only: list[str] | None = None) -> None:
        self.module.main("tried", self.prepared, self.out, self.config, SOURCE_FILTER_STEPS, 1.0, only)

    def steps(self) -> dict[str, int]:
        """Of all runs so far."""
        folders = sorted(path for path in self.out.iterdir() if path.is_dir())
        return {folder.name: checkpoint.newest(folder).step for folder in folders}

    def voices(self) -> list[str]:
        return sorted(path.parent.name for path in self.out.glob("*/voice.safetensors"))


@pytest.fixture
def search(tiny, prepared, tmp_path, monkeypatch) -> Search:
    module = recipe("ablation")
    (tmp_path / "config.yaml").write_text(
        json.dumps(to_tree(replace(tiny, train=replace(tiny.train, num_validation_clips=0))))
    )
    search = Search(module, tmp_path / "config.yaml", prepared.folder, tmp_path / "out")
    tried = {"source-filter": {"model.wavenet.layers": 0}, "8 channels": {"model.wavenet.channels": 8}}
    monkeypatch.setattr(module, "STUDIES", {"tried": tried})
    monkeypatch.setattr(module, "measure_step_seconds", search.measure)
    return search


@pytest.fixture
def interrupt(monkeypatch):
    """Have Ctrl-C pressed in the step of that number, counted over all runs."""
    real, taken = loop.train_step, []

    def at(number: int) -> None:
        def disturbed(state, *others):
            taken.append(state.step)
            if len(taken) == number:
                os.kill(os.getpid(), signal.SIGINT)
            return real(state, *others)

        monkeypatch.setattr(loop, "train_step", disturbed)

    return at


def test_again_it_goes_by_the_costs_that_it_measured(search, capsys):
    search.run()
    done = {
        "8_channels": SOURCE_FILTER_STEPS + 4,
        "source-filter": SOURCE_FILTER_STEPS + 2,
        "source_filter_alone": SOURCE_FILTER_STEPS,
    }
    assert search.steps() == done
    assert search.voices() == ["8_channels", "source-filter"]
    assert "8 channels: 0.250 s a step, " in capsys.readouterr().out
    written = (search.out / "costs.json").read_bytes()
    assert json.loads(written) == COSTS

    search.costs = {"source-filter": 0.1, "8 channels": 0.1}  # another day, a quicker machine
    search.run()
    assert search.measured == [["source-filter", "8 channels"], []]
    assert search.steps() == done
    assert (search.out / "costs.json").read_bytes() == written
    assert "8 channels: 0.250 s a step, " in capsys.readouterr().out


def test_interrupted_in_a_variant_it_goes_on_there(search, interrupt, capsys):
    interrupt(SOURCE_FILTER_STEPS + 1)
    search.run()
    assert capsys.readouterr().out.splitlines()[-1] == AGAIN
    assert search.steps() == {"source-filter": SOURCE_FILTER_STEPS + 1, "source_filter_alone": SOURCE_FILTER_STEPS}
    assert search.voices() == []

    search.costs = {"source-filter": 0.1, "8 channels": 0.1}
    search.run()
    assert search.steps() == {
        "8_channels": SOURCE_FILTER_STEPS + 4,
        "source-filter": SOURCE_FILTER_STEPS + 2,
        "source_filter_alone": SOURCE_FILTER_STEPS,
    }
    steps = [
        json.loads(line)["step"] for line in (search.out / "source-filter" / "losses.jsonl").read_text().splitlines()
    ]
    assert steps == [SOURCE_FILTER_STEPS + 1, SOURCE_FILTER_STEPS + 2]
    assert [singer.name for singer in VoiceFile.load(search.out / "source-filter" / "voice.safetensors").speakers] == [
        "alto",
        "bass",
    ]
    assert capsys.readouterr().out.splitlines()[-1].startswith("next: svc evaluate --voice")


def test_no_such_variant_is_one_sentence_and_leaves_nothing(search):
    with pytest.raises(ConfigError, match=r"^--only 3 bands: no such variant; there are source-filter, 8 channels$"):
        search.run(["3 bands"])
    assert not search.out.exists()
