"""Export: a voice file from the weights and the metadata of a training checkpoint."""

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from svc import __version__
from svc.config import Config, from_tree
from svc.errors import ConfigError, TrainingError
from svc.features import content, extract
from svc.features.training_data import TrainingData
from svc.inference.voice import VoiceFile, VoiceSpeaker
from svc.models.generator import Generator


def export_voice(
    folder: Path,
    step: int,
    meta: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    card: Mapping[str, str],
    data: TrainingData,
) -> VoiceFile:
    """A voice from a checkpoint; without the WaveNet if the run ended before ``train.wavenet_start_step``.

    Args:
        folder: of the checkpoint, for messages.
        step: of the training.
        meta: of the checkpoint: ``config``, ``speakers``, ``content_channels`` and ``features``.
        weights: averaged (EMA) weights of the generator by name.
        card: free text by headings.
        data: what the voice was trained on; its licences and credits go into the card.

    Raises:
        TrainingError: config, weights or features are of another version of svc.
    """
    other_version = TrainingError(f"{folder}: of another version; train again, or use the svc that made it")
    try:
        config = from_tree(meta["config"])
        speakers = tuple(VoiceSpeaker(**row, number=number) for number, row in enumerate(meta["speakers"]))
        untrained = step <= config.train.wavenet_start_step and not meta.get("has_wavenet")
        if config.model.source_filter and untrained:
            config, weights = _without_wavenet(config, weights)
        generator = Generator(config, content_channels=int(meta["content_channels"]), num_speakers=len(speakers))
        generator.load_state_dict(weights)
    except (ConfigError, KeyError, TypeError, RuntimeError):
        raise other_version from None
    if "features" in meta and extract.changed_features(meta["features"], config):
        raise other_version
    minutes = sum(speaker.seconds for speaker in speakers) / 60
    about = {
        "made": f"{datetime.date.today().isoformat()} by svc {__version__}, step {step} of {config.train.steps}",
        "data": f"{minutes:.1f} minutes of {len(speakers)} speakers",
        **data.card,
        "limits": "words and breath follow the source; ask the speakers before you publish",
    }
    encoder = content.encoder_fingerprint(config.features.content)
    return VoiceFile.of(generator.eval(), config, speakers, {**card, **about}, encoder, len(speakers), data)


def _without_wavenet(config: Config, weights: Mapping[str, Tensor]) -> tuple[Config, dict[str, Tensor]]:
    """The source–filter stage alone, of a run that ended before its WaveNet was trained."""
    wavenet = dataclasses.replace(config.model.wavenet, layers=0)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, wavenet=wavenet))
    return config, {name: tensor for name, tensor in weights.items() if not name.startswith("wavenet.")}
