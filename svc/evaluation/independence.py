"""Whether a metric is independent of a voice: notes for the reports, and metrics to choose checkpoints by."""

import importlib.util
from dataclasses import replace

from svc.config import Config
from svc.errors import WeightsError
from svc.evaluation.evaluator import EvaluatorConfig
from svc.evaluation.metrics.campplus import find_weights

GE2E = "ge2e"  # the encoder behind resemblyzer


def loss_encoders(config: Config) -> set[str]:
    """Names of the encoders in the perceptual and speaker losses of a voice."""
    losses = [loss for loss in config.perceptual.values() if loss.weight or loss.conversion_weight]
    speaker = {GE2E} if config.loss.speaker.weight or config.loss.speaker.conversion_weight else set()
    return {loss.encoder for loss in losses} | speaker


def independence_notes(metrics: EvaluatorConfig, config: Config) -> list[str]:
    """A sentence for every metric that shares a network with the voice's losses or inputs."""
    losses, notes = loss_encoders(config), []
    if {"resemblyzer": GE2E}.get(metrics.speaker_encoder, metrics.speaker_encoder) in losses:
        name = metrics.speaker_encoder.capitalize()
        notes.append(
            f"The voice was trained with a loss on {name}, which also measures speaker similarity here: "
            "use another --speaker-encoder."
        )
    if metrics.content_metric in losses | {config.features.content.encoder}:
        notes.append(
            f"The content distance uses {metrics.content_metric}, as the voice does; --asr is independent of it."
        )
    if metrics.f0_tracker == "crepe":
        notes.append("CREPE measures f0, and the voice is conditioned on it: use another --f0-tracker.")
    return notes


def checkpoint_metrics(config: Config) -> EvaluatorConfig:
    """The metrics that choose the best checkpoint of a training.

    Speaker similarity by CAM++ if its weights are in the cache, else by Resemblyzer, or by cepstra if a loss uses
    Resemblyzer's network; naturalness by Distill-MOS if it is installed.
    """
    metrics = EvaluatorConfig(mos=("distillmos",) if importlib.util.find_spec("distillmos") else ())
    try:
        find_weights()
    except WeightsError:
        return replace(metrics, speaker_encoder="cepstral" if GE2E in loss_encoders(config) else "resemblyzer")
    return replace(metrics, speaker_encoder="campplus")
