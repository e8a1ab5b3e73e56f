"""What a person follows: every tracker is told the same, the files stay as they are, and the clock is right."""

import functools
import json
import typing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import tracking as theirs
from accelerate.utils import LoggerType
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from svc.config import TrackerName, from_tree
from svc.errors import ConfigError
from svc.training import checkpoint, throughput
from svc.training.loop import train
from svc.training.throughput import Meter
from svc.training.logging import chosen
from svc.utils.optional import MissingExtra

STEPS = 6


class Notebook(theirs.GeneralTracker):
    """Writes down what it is told, in the place of wandb."""

    name = "wandb"
    requires_logging_directory = False
    told: typing.ClassVar[list] = []

    def __init__(self, project: str, **_kwargs):
        super().__init__()
        self.told.append(project)

    @property
    def tracker(self):
        return self.told

    def log(self, values, step=None, **_kwargs):
        self.told.append((step, values))

    def finish(self):
        self.told.append("finished")


@pytest.fixture(scope="module")
def short(tiny):
    knobs = {"steps": STEPS, "wavenet_start_step": 1, "adversarial_start_step": 3, "validate_every": STEPS}
    return replace(tiny, train=replace(tiny.train, **knobs))


def knobs(config, **train_knobs):
    return replace(config, train=replace(config.train, **train_knobs))


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def followed(prepared, short, tmp_path_factory) -> Path:
    """A run that TensorBoard and the notebook follow."""
    run = tmp_path_factory.mktemp("followed") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(theirs.LOGGER_TYPE_TO_CLASS, "wandb", Notebook)
        patch.setattr(theirs, "_available_trackers", [LoggerType.TENSORBOARD, LoggerType.WANDB])
        train(prepared, run, knobs(short, trackers=("tensorboard", "wandb", "wandb")), cpu=True)
    return run


def test_every_tracker_is_told_what_the_files_hold(followed):
    project, *logs, end = Notebook.told
    assert (project, end) == ("mine", "finished")
    losses = {step: dict(values) for step, values in logs if "loss/total" in values}
    scores = {step: values for step, values in logs if "valid/overall" in values}
    assert len(logs) == len(losses) + len(scores) == STEPS + 2
    for row in rows(followed / "losses.jsonl"):
        step = row.pop("step")
        assert 0 < losses[step].pop("time/waiting") < 1
        assert 0 < losses[step].pop("time/seconds_per_step") < 60
        assert losses[step] == {f"loss/{name}": value for name, value in row.items()}
    for row in rows(followed / "validation.jsonl"):
        assert scores[row.pop("step")] == {f"valid/{name}": value for name, value in row.items()}


def test_tensorboard_shows_losses_scores_sounds_and_pictures(followed):
    board = EventAccumulator(str(followed / "logs")).Reload()
    tags = board.Tags()
    _project, *logs, _end = Notebook.told
    assert set(tags["scalars"]) == {name for _step, values in logs for name in values}
    losses = {row["step"]: row["spectral"] for row in rows(followed / "losses.jsonl")}
    assert {one.step: one.value for one in board.Scalars("loss/spectral")} == pytest.approx(losses)
    assert [one.step for one in board.Scalars("valid/overall")] == [0, STEPS]
    assert set(tags["audio"]) == {"0_bass/truth", "0_bass/sung", "0_bass/as_alto"}
    assert set(tags["images"]) == {"0_bass"}


def test_without_trackers_the_files_are_the_same_and_the_wait_is_told(followed, prepared, short, tmp_path, capsys):
    train(prepared, tmp_path, knobs(short, trackers=()), cpu=True)
    assert not (tmp_path / "logs").exists()
    for name in ("losses.jsonl", "validation.jsonl"):
        assert (tmp_path / name).read_bytes() == (followed / name).read_bytes()
    assert "of the time was spent waiting for data" in capsys.readouterr().err


def test_what_is_taken_again_is_purged_from_tensorboard(tmp_path):
    (board,) = chosen(("tensorboard", "tensorboard"), tmp_path, 7)
    assert (board.run_name, board.logging_dir_param, board.init_kwargs) == ("logs", tmp_path, {"purge_step": 8})
    assert chosen((), tmp_path, 7) is None


def test_any_tracker_of_accelerate_can_be_named():
    names = typing.get_args(TrackerName)
    assert set(names) == set(theirs.LOGGER_TYPE_TO_CLASS)
    assert from_tree({"train": {"trackers": list(names)}}).train.trackers == names


def test_an_unknown_tracker_is_refused():
    with pytest.raises(ConfigError, match=r"train.trackers must be one of tensorboard, wandb, .*, not 'wandbb'$"):
        from_tree({"train": {"trackers": ["tensorboard", "wandbb"]}})


def test_a_tracker_that_is_not_installed_is_told_before_anything_starts(prepared, short, tmp_path, monkeypatch):
    monkeypatch.setattr(theirs, "_available_trackers", [LoggerType.TENSORBOARD])
    sentence = r"^train.trackers: comet_ml, wandb not installed; run `pip install comet_ml wandb`, or take"
    with pytest.raises(MissingExtra, match=sentence):
        train(prepared, tmp_path / "run", knobs(short, trackers=("wandb", "tensorboard", "comet_ml")), cpu=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # dynamo looks at it
def test_compiled_networks_learn_the_same(followed, prepared, short, tmp_path, monkeypatch):
    """With dynamo but without inductor, which takes minutes."""
    graphs = []

    def backend(graph, _inputs):
        graphs.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    train(prepared, tmp_path, knobs(short, trackers=(), compile=True), cpu=True)
    torch._dynamo.reset()
    assert graphs
    assert not [node for graph in graphs for node in graph.graph.nodes if "fft" in str(node.target)]  # see _prepare
    for row, eager in zip(rows(tmp_path / "losses.jsonl"), rows(followed / "losses.jsonl"), strict=True):
        assert row == pytest.approx(eager, rel=1e-3)
    for name in ("generator", "average", "discriminator", "generator_adam"):
        here, there = (
            load_file(checkpoint.newest(run).folder / f"{name}.safetensors").keys() for run in (tmp_path, followed)
        )
        assert here == there


def test_a_penalty_is_not_compiled():
    with pytest.raises(ConfigError, match=r"train.compile needs discriminator.penalty: 0"):
        from_tree({"train": {"compile": True}, "discriminator": {"penalty": 1.0}})


@pytest.fixture
def clock(monkeypatch):
    """A clock to move by hand."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(throughput, "perf_counter", lambda: Clock.now)
    return Clock


def taking(clock, seconds, count):
    for number in range(count):
        clock.now += seconds
        yield number


def test_waiting_is_the_share_of_the_time_before_batches(clock):
    watch = Meter()
    clock.now += 50  # a first validation
    for number in watch.timed(taking(clock, 1.0, 4)):
        clock.now += 3.0 if number < 2 else 7.0
        if number % 2:
            share, seconds = ((0.25, 4.0), (0.125, 8.0))[number // 2]
            assert watch.lap() == {"waiting": share, "seconds_per_step": seconds}
    assert watch.steps == 4
    assert watch.verdict() == "17 % of the time was spent waiting for data; raise train.num_workers"


def test_a_short_wait_is_only_told(clock):
    watch = Meter()
    for _ in watch.timed(taking(clock, 1.0, 3)):
        clock.now += 9.0
    assert watch.verdict() == "10 % of the time was spent waiting for data"
