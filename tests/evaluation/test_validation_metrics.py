"""Metrics during training: scores of validation clips, the best checkpoint, and advice."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from svc.evaluation import validation_metrics
from svc.evaluation.evaluator import EvaluatorConfig
from svc.evaluation.metrics.table import checkpoint_scores
from svc.training import loop, validation
from svc.training.validation import ValidationOutput

METRICS = EvaluatorConfig(speaker_encoder="cepstral")


@pytest.fixture(scope="module")
def evaluator(prepared):
    return validation_metrics.ValidationEvaluator(prepared, METRICS)


@pytest.fixture(scope="module")
def clips(prepared, tiny):
    return validation.select_clips(prepared, tiny)


def outputs_of(clip, noise=0.0, by=None):
    """The truth with noise as reconstruction; as conversions the same, or other audio."""
    random = torch.from_numpy(np.random.default_rng(0).standard_normal(clip.audio.shape[1]).astype(np.float32))
    audio = clip.audio[0] + noise * random
    return ValidationOutput(clip, audio, dict.fromkeys(clip.targets, audio if by is None else by))


class TestValidationEvaluator:
    def test_of_the_truth(self, evaluator, clips):
        scores = evaluator([outputs_of(clip) for clip in clips])
        assert scores["f0_rmse"] == 0
        assert scores["raw_pitch_accuracy"] == scores["pitch_score"] == scores["naturalness_score"] == 1
        assert scores["stft"] == scores["content_distance"] == scores["similarity_score"] == 0  # no progress
        assert scores["overall"] == pytest.approx(2 / 3)

    def test_overall_falls_with_noise(self, evaluator, clips):
        scores = [evaluator([outputs_of(clip, noise) for clip in clips])["overall"] for noise in (0, 0.03)]
        assert scores[0] > scores[1] > 0

    def test_progress_towards_the_target(self, evaluator, clips, prepared):
        (clip,) = clips
        (target,) = clip.targets
        own = validation_metrics.read_enrolment(prepared)[target][0]
        samples = np.resize(own.samples, clip.audio.shape[1])
        output = outputs_of(clip, by=clip.audio[0].new_tensor(samples))
        (_, row) = evaluator.rows([output])
        assert row["target"] == target
        assert row["named_target"] == 1
        assert row["progress"] > 0.7


@pytest.fixture(scope="module")
def trained(prepared, tiny, evaluator, tmp_path_factory):
    """A run whose third of four validations is said to be the best."""
    run = tmp_path_factory.mktemp("run")
    config = replace(tiny, train=replace(tiny.train, steps=8, validate_every=2))
    scores = iter([0.1, 0.3, 0.2, 0.9, 0.4])
    outcome = loop.train(prepared, run, config, cpu=True, score=lambda _: {"overall": next(scores), "cosine": 0.5})
    return run, outcome


class TestInTraining:
    def test_its_overall_chooses_the_best(self, trained):
        run, outcome = trained
        assert (outcome.best_score, outcome.best_step) == (0.9, 6)
        assert (run / "checkpoints" / "step_00000006").is_dir()

    def test_scores_are_kept(self, trained):
        run, _ = trained
        history = validation_metrics.history(run)
        assert [(scores["step"], scores["overall"]) for scores in history] == [(2, 0.3), (4, 0.2), (6, 0.9), (8, 0.4)]
        assert all(scores["spectral"] > 0 for scores in history)
        assert json.loads((run / "validation.jsonl").read_text().splitlines()[0])["step"] == 0

    def test_report(self, trained, evaluator, clips):
        run, outcome = trained
        advice = validation_metrics.write_training_report(run, evaluator, outcome.outputs)
        page = (run / "report.html").read_text()
        assert advice.split(":")[0] in page
        assert page.count("data:image/png;base64,") == 2 + len(clips[0].targets)
        assert page.count("data:audio/flac;base64,") == 2 + len(clips[0].targets)


def curve(values):
    return [{"step": 500 * (place + 1), "overall": value} for place, value in enumerate(values)]


WAVER = 0.004 * np.random.default_rng(1).standard_normal(16)


class TestAdvice:
    def test_rising(self):
        assert validation_metrics.early_stopping_advice(curve(np.linspace(0.4, 0.7, 16) + WAVER)).startswith(
            "More training would help"
        )

    def test_flat(self):
        values = 0.7 - 0.3 * np.exp(-np.arange(16.0)) + WAVER
        assert validation_metrics.early_stopping_advice(curve(values)).startswith("More training would hardly help")

    def test_falling(self):
        values = np.concatenate([np.linspace(0.4, 0.7, 8), np.linspace(0.69, 0.5, 8)]) + WAVER
        scores = validation_metrics.early_stopping_advice(curve(values))
        assert scores.startswith("More training would not help: the overall score was best about step")
        assert "--checkpoint best" in scores


class TestCheckpointScores:
    def row(self, speaker="a", target="b", **scores):
        return {"system": "voice", "song": "s", "speaker": speaker, "target": target} | scores

    def test_naturalness_by_distillmos_relative_to_the_sources(self):
        rows = [self.row(distillmos=2.5, distillmos_source=4.0), self.row(distillmos=3.5, distillmos_source=4.0)]
        assert checkpoint_scores(rows)["naturalness_score"] == pytest.approx((3 - 1) / (4 - 1))
        assert checkpoint_scores([self.row(distillmos=4.5, distillmos_source=4.0, stft=9.0)])["naturalness_score"] == 1

    def test_naturalness_by_stft_distance_without_distillmos(self):
        assert checkpoint_scores([self.row(target="a", stft=1.0)])["naturalness_score"] == 0.5

    def test_overall_is_the_mean_of_what_is_measured(self):
        row = self.row(progress=0.6, raw_pitch_accuracy=0.9, content_distance=0.0)
        assert checkpoint_scores([row])["overall"] == pytest.approx((0.6 + 0.9) / 2)
        row |= {"distillmos": 2.0, "distillmos_source": 3.0}
        assert checkpoint_scores([row])["overall"] == pytest.approx((0.6 + 0.5 + 0.9) / 3)
        assert math.isnan(checkpoint_scores([self.row()])["overall"])
