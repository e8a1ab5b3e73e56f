"""Notes where a metric shares a network with the voice, and metrics that choose checkpoints."""

from dataclasses import replace

import pytest

from svc.config import load
from svc.encoders import campplus
from svc.evaluation import evaluator
from svc.evaluation.evaluator import EvaluatorConfig, checkpoint_metrics, independence_notes, loss_encoders


@pytest.fixture(autouse=True)
def no_extras(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(evaluator.importlib.util, "find_spec", lambda name: None)
    return tmp_path / "svc"


def test_encoders_of_losses_with_a_weight():
    assert loss_encoders(load(None, {"perceptual.phones.weight": 0.0})) == set()
    options = {"perceptual.crepe.conversion_weight": 0.1, "perceptual.phones.weight": 0.0, "loss.speaker.weight": 0.5}
    assert loss_encoders(load(None, options | {"virtual_speakers.fraction": 0.25})) == {"crepe-tiny", "ge2e"}


def test_notes():
    config = load(None, {"features.content.encoder": "cepstral", "features.content.layer": "cepstra"})
    config = replace(config, perceptual={})
    assert independence_notes(EvaluatorConfig(), config) == []
    (note,) = independence_notes(EvaluatorConfig(), load(None, {}))
    assert note.startswith("The content distance uses the phone classifier, as the voice does")
    speaker = replace(config, loss=replace(config.loss, speaker=replace(config.loss.speaker, weight=0.5)))
    (note,) = independence_notes(EvaluatorConfig(), speaker)
    assert "resemblyzer" in note
    assert independence_notes(EvaluatorConfig(speaker_encoder="cepstral"), speaker) == []


def test_checkpoints_are_not_chosen_by_the_encoder_of_a_loss(no_extras):
    plain, trained = load(None, {}), load(None, {"loss.speaker.weight": 0.5})
    assert checkpoint_metrics(plain).speaker_encoder == "resemblyzer"
    assert checkpoint_metrics(trained).speaker_encoder == "cepstral"
    no_extras.mkdir()
    (no_extras / campplus.FILE).touch()
    assert checkpoint_metrics(trained).speaker_encoder == "campplus"


def test_distillmos_counts_where_it_is_installed(monkeypatch):
    assert checkpoint_metrics(load(None, {})).mos == ()
    monkeypatch.setattr(evaluator.importlib.util, "find_spec", lambda name: name == "distillmos")
    assert checkpoint_metrics(load(None, {})).mos == ("distillmos",)
