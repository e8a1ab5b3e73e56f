"""The judges in training: what they say of phrases, which checkpoint they choose, and what they advise."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from svc.evaluation import validation_metrics
from svc.evaluation.evaluator import Judges
from svc.training import loop, validation
from svc.training.validation import Rendition

JUDGES = Judges(pitch="crepe", identity="cepstral", words="mfcc")  # none needs an extra


@pytest.fixture(scope="module")
def judge(prepared):
    return validation_metrics.Rehearsal(prepared, JUDGES)


@pytest.fixture(scope="module")
def phrases(prepared, tiny):
    return validation.choose(prepared, tiny)


def sung(phrase, noise=0.0, by=None):
    """A phrase as the truth with noise, turned into others by nothing at all, or by their own recordings."""
    random = torch.from_numpy(np.random.default_rng(0).standard_normal(phrase.audio.shape[1]).astype(np.float32))
    audio = phrase.audio[0] + noise * random
    return Rendition(phrase, audio, dict.fromkeys(phrase.targets, audio if by is None else by))


class TestRehearsal:
    def test_of_the_truth(self, judge, phrases):
        told = judge([sung(phrase) for phrase in phrases])
        assert told["f0_rmse"] == 0
        assert told["raw_pitch_accuracy"] == told["melody_part"] == told["sound_part"] == told["words_part"] == 1
        assert told["stft"] == told["words"] == told["identity_part"] == 0  # no way towards anybody
        assert told["overall"] == pytest.approx(0.75)

    def test_overall_falls_with_noise(self, judge, phrases):
        told = [judge([sung(phrase, noise) for phrase in phrases])["overall"] for noise in (0, 0.003, 0.03)]
        assert told[0] > told[1] > told[2] > 0

    def test_likeness_rises_towards_the_target(self, judge, phrases, prepared):
        (phrase,) = phrases
        (target,) = phrase.targets
        own = validation_metrics.enrol(prepared, judge.rate)[target][0]
        samples = np.resize(own.samples, phrase.audio.shape[1])
        made = sung(phrase, by=phrase.audio[0].new_tensor(samples))
        (_, row) = judge.rows([made])
        assert row["target"] == target
        assert row["named_target"] == 1
        assert row["likeness"] > 0.7

    def test_sections_hold_truth_and_renditions(self, judge, phrases):
        (section,) = judge.sections([sung(phrases[0])])
        assert len(section.exhibits) == 2 + len(phrases[0].targets)


@pytest.fixture(scope="module")
def trained(prepared, tiny, judge, tmp_path_factory):
    """A run whose third of four validations is said to be the best."""
    run = tmp_path_factory.mktemp("run")
    config = replace(tiny, train=replace(tiny.train, steps=8, validate_every=2))
    told = iter([0.1, 0.3, 0.2, 0.9, 0.4])
    outcome = loop.train(prepared, run, config, cpu=True, judge=lambda _: {"overall": next(told), "words": 0.5})
    return run, outcome


class TestInTraining:
    def test_its_overall_chooses_the_best(self, trained):
        run, outcome = trained
        assert (outcome.best, outcome.best_step) == (0.9, 6)
        assert (run / "checkpoints" / "step_00000006").is_dir()

    def test_scores_are_kept(self, trained):
        run, _ = trained
        told = validation_metrics.history(run)
        assert [(scores["step"], scores["overall"]) for scores in told] == [(2, 0.3), (4, 0.2), (6, 0.9), (8, 0.4)]
        assert all(scores["spectral"] > 0 for scores in told)
        assert json.loads((run / "validation.jsonl").read_text().splitlines()[0])["step"] == 0

    def test_report(self, trained, judge, phrases):
        run, outcome = trained
        advice = validation_metrics.publish(run, judge, outcome.renditions)
        page = (run / "report.html").read_text()
        assert advice.split(":")[0] in page
        assert page.count("data:image/png;base64,") == 2
        assert page.count("data:audio/flac;base64,") == 2 + len(phrases[0].targets)


def curve(values):
    return [{"step": 500 * (place + 1), "overall": value} for place, value in enumerate(values)]


WAVER = 0.004 * np.random.default_rng(1).standard_normal(16)


class TestAdvice:
    def test_rising(self):
        assert validation_metrics.advise(curve(np.linspace(0.4, 0.7, 16) + WAVER)).startswith(
            "More training would help"
        )

    def test_flat(self):
        values = 0.7 - 0.3 * np.exp(-np.arange(16.0)) + WAVER
        assert validation_metrics.advise(curve(values)).startswith("More of the same training would hardly help")

    def test_falling(self):
        values = np.concatenate([np.linspace(0.4, 0.7, 8), np.linspace(0.69, 0.5, 8)]) + WAVER
        told = validation_metrics.advise(curve(values))
        assert told.startswith("More training would not help: the overall score was best about step")
        assert "--which best" in told

    @pytest.mark.parametrize("count", [8, 12, 16, 32])
    def test_noise_is_seldom_more(self, count):
        rng = np.random.default_rng(count)
        told = [validation_metrics.advise(curve(0.5 + 0.01 * rng.standard_normal(count))) for _ in range(300)]
        assert np.mean([one.startswith("More of the same") for one in told]) > 0.85

    def test_too_short(self):
        assert validation_metrics.advise(curve([0.1, 0.2, 0.3])).startswith("Too few validations (3)")
        assert validation_metrics.advise([]).startswith("Too few validations (0)")
