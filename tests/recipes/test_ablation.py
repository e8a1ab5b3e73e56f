"""The ablation resumes: step times are measured once, and interrupted runs continue."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from test_recipes import recipe

from svc.config import to_tree
from svc.errors import ConfigError
from svc.training import checkpoint

SOURCE_FILTER_STEPS = 2
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


def test_no_such_variant_is_one_sentence_and_leaves_nothing(search):
    with pytest.raises(ConfigError, match=r"^--only 3 bands: no such variant; there are source-filter, 8 channels$"):
        search.run(["3 bands"])
    assert not search.out.exists()


def test_the_sum_of_all_losses_weighs_as_much_as_one_loss_alone():
    options = recipe("ablation").PERCEPTUAL["all"]
    weights = [value for option, value in options.items() if option.endswith(".weight")]
    assert len(weights) == 6
    assert sum(weights) == pytest.approx(0.5)
