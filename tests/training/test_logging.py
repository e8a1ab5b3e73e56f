"""Logging: trackers and files hold the same values, throughput, and GAN diagnostics."""

import functools
import typing
from pathlib import Path

import pytest
import torch
from accelerate import tracking as theirs
from accelerate.utils import LoggerType
from runs import replaced, rows
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from svc.config import TrackerName, from_tree
from svc.training import checkpoint, logging
from svc.training.logging import Throughput, make_trackers
from svc.training.loop import train
from svc.utils.optional import MissingExtra

STEPS = 6


class RecordingTracker(theirs.GeneralTracker):
    """Records the calls, in the place of wandb."""

    name = "wandb"
    requires_logging_directory = False
    calls: typing.ClassVar[list] = []

    def __init__(self, project: str, **_kwargs):
        super().__init__()
        self.calls.append(project)

    @property
    def tracker(self):
        return self.calls

    def store_init_configuration(self, values):
        self.calls.append(values)

    def log(self, values, step=None, **_kwargs):
        self.calls.append((step, values))

    def finish(self):
        self.calls.append("finished")


@pytest.fixture(scope="module")
def short(tiny):
    options = {"steps": STEPS, "wavenet_start_step": 1, "adversarial_start_step": 3, "validate_every": STEPS}
    return replaced(tiny, **options)


@pytest.fixture(scope="module")
def tracked(prepared, short, tmp_path_factory) -> Path:
    """A run with TensorBoard and the recording tracker."""
    run = tmp_path_factory.mktemp("tracked") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(theirs.LOGGER_TYPE_TO_CLASS, "wandb", RecordingTracker)
        patch.setattr(theirs, "_available_trackers", [LoggerType.TENSORBOARD, LoggerType.WANDB])
        train(prepared, run, replaced(short, trackers=("tensorboard", "wandb", "wandb")), cpu=True)
    return run


def test_every_tracker_gets_the_options_and_what_the_files_hold(tracked):
    project, options, *logs, end = RecordingTracker.calls
    assert (project, end) == ("mine", "finished")
    assert options["train.steps"] == STEPS
    assert options["model.wavenet.channels"] == 4
    assert options["loss.scales"] == "[512, 128]"
    losses = {step: dict(values) for step, values in logs if "loss/total" in values}
    scores = {step: values for step, values in logs if "valid/overall" in values}
    assert len(logs) == len(losses) + len(scores) == STEPS + 2
    for row in rows(tracked / "losses.jsonl"):
        step = row.pop("step")
        assert 0 < losses[step].pop("time/waiting") < 1
        assert 0 < losses[step].pop("time/seconds_per_step") < 60
        assert losses[step] == {f"loss/{name}": value for name, value in row.items()}
    for row in rows(tracked / "validation.jsonl"):
        assert scores[row.pop("step")] == {f"valid/{name}": value for name, value in row.items()}


def test_tensorboard_gets_losses_scores_audio_and_images(tracked):
    board = EventAccumulator(str(tracked / "logs")).Reload()
    tags = board.Tags()
    _project, _options, *logs, _end = RecordingTracker.calls
    assert set(tags["scalars"]) == {name for _step, values in logs for name in values}
    losses = {row["step"]: row["spectral"] for row in rows(tracked / "losses.jsonl")}
    assert {one.step: one.value for one in board.Scalars("loss/spectral")} == pytest.approx(losses)
    assert [one.step for one in board.Scalars("valid/overall")] == [0, STEPS]
    assert set(tags["audio"]) == {"0_bass/original", "0_bass/reconstruction", "0_bass/to_alto"}
    assert set(tags["images"]) == {"0_bass"}


def test_without_trackers_the_files_are_the_same(tracked, prepared, short, tmp_path):
    train(prepared, tmp_path, replaced(short, trackers=()), cpu=True)
    assert not (tmp_path / "logs").exists()
    for name in ("losses.jsonl", "validation.jsonl"):
        assert (tmp_path / name).read_bytes() == (tracked / name).read_bytes()


def test_all_trackers_of_accelerate_are_accepted():
    names = typing.get_args(TrackerName)
    assert set(names) == set(theirs.LOGGER_TYPE_TO_CLASS)
    assert from_tree({"train": {"trackers": list(names)}}).train.trackers == names


def test_a_tracker_that_is_not_installed_is_an_error_before_anything_starts(prepared, short, tmp_path, monkeypatch):
    monkeypatch.setattr(theirs, "_available_trackers", [LoggerType.TENSORBOARD])
    sentence = r"^train.trackers: comet_ml, wandb not installed; run `pip install comet_ml wandb`, or remove"
    with pytest.raises(MissingExtra, match=sentence):
        train(prepared, tmp_path / "run", replaced(short, trackers=("wandb", "tensorboard", "comet_ml")), cpu=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # dynamo looks at it
def test_compiled_networks_train_alike(tracked, prepared, short, tmp_path, monkeypatch):
    """With dynamo but without inductor, which takes minutes."""
    graphs = []

    def backend(graph, _inputs):
        graphs.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    train(prepared, tmp_path, replaced(short, trackers=(), compile=True), cpu=True)
    torch._dynamo.reset()
    assert graphs
    assert not [node for graph in graphs for node in graph.graph.nodes if "fft" in str(node.target)]  # see state.wrap
    for row, eager in zip(rows(tmp_path / "losses.jsonl"), rows(tracked / "losses.jsonl"), strict=True):
        assert row == pytest.approx(eager, rel=1e-3)
    for name in ("generator", "ema_generator", "discriminator", "generator_adam"):
        here, there = (
            load_file(checkpoint.newest(run).folder / f"{name}.safetensors").keys() for run in (tmp_path, tracked)
        )
        assert here == there


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(logging, "perf_counter", lambda: Clock.now)
    return Clock


def taking(clock, seconds, count):
    for number in range(count):
        clock.now += seconds
        yield number


def test_waiting_is_the_share_of_the_time_before_batches(clock):
    throughput = Throughput()
    clock.now += 50  # a first validation
    for number in throughput.wrap(taking(clock, 1.0, 4)):
        clock.now += 3.0 if number < 2 else 7.0
        if number % 2:
            share, seconds = ((0.25, 4.0), (0.125, 8.0))[number // 2]
            assert throughput.interval() == {"waiting": share, "seconds_per_step": seconds}
    assert throughput.steps == 4
    assert throughput.advice() == "17 % of the time was spent waiting for data; raise train.num_workers"


def test_short_waits_need_no_advice(clock):
    throughput = Throughput()
    assert throughput.advice() == ""
    for _ in throughput.wrap(taking(clock, 0.1, 4)):
        clock.now += 10.0
    assert throughput.advice() == ""


def test_repeated_steps_are_purged_from_tensorboard(tmp_path):
    (board,) = make_trackers(("tensorboard", "tensorboard"), tmp_path, 7)
    assert (board.run_name, board.logging_dir_param, board.init_kwargs) == ("logs", tmp_path, {"purge_step": 8})
    assert make_trackers((), tmp_path, 7) is None
