"""Whether a metric is independent of a voice: notes for the reports, and metrics to choose checkpoints by."""

import importlib.util

from svc.config import Config
from svc.encoders import campplus
from svc.encoders.weights import cache_folder
from svc.evaluation.evaluator import EvaluatorConfig

GE2E = "ge2e"  # the encoder behind resemblyzer
PHONES = "phone-classifier"  # the encoder behind the content distance


def loss_encoders(config: Config) -> set[str]:
    """Names of the encoders in the perceptual and speaker losses of a voice."""
    losses = [loss for loss in config.perceptual.values() if loss.weight or loss.conversion_weight]
    speaker = (
        {config.loss.speaker.encoder} if config.loss.speaker.weight or config.loss.speaker.conversion_weight else set()
    )
    return {loss.encoder for loss in losses} | speaker


def independence_notes(metrics: EvaluatorConfig, config: Config) -> list[str]:
    """A sentence for every metric that shares a network with the voice's losses or inputs."""
    losses, notes = loss_encoders(config), []
    name = metrics.speaker_encoder
    if (GE2E if name == "resemblyzer" else name) in losses:
        notes.append(f"A loss of the voice used {name}, which measures similarity here: use another --speaker-encoder.")
    if PHONES in losses | {config.features.content.encoder}:
        notes.append("The content distance uses the phone classifier, as the voice does; --asr is independent of it.")
    return notes


def checkpoint_metrics(config: Config) -> EvaluatorConfig:
    """The metrics that choose the best checkpoint of a training.

    Speaker similarity by CAM++ if its weights are in the cache, else by Resemblyzer, or by cepstra if a loss uses
    Resemblyzer's network; naturalness by Distill-MOS if it is installed.
    """
    encoder = "cepstral" if GE2E in loss_encoders(config) else "resemblyzer"
    if (cache_folder() / campplus.FILE).is_file():
        encoder = "campplus"
    mos = ("distillmos",) if importlib.util.find_spec("distillmos") else ()
    return EvaluatorConfig(speaker_encoder=encoder, mos=mos)
