"""From a run to a voice."""

import datetime
from pathlib import Path

from svc import __version__
from svc.config import from_tree
from svc.errors import ConfigError, TrainingError
from svc.features import content
from svc.features import extract as features
from svc.inference.voice import VoiceFile, VoiceSpeaker
from svc.models.generator import Generator
from svc.training import checkpoint


def export_voice(run: Path, which: str, card: dict[str, str]) -> VoiceFile:
    """The voice of the ``last`` or the ``best`` checkpoint of a run.

    Raises:
        TrainingError: there is no such checkpoint, or its config, weights or features are of another version.
    """
    found = checkpoint.at(run, which)
    try:
        config = from_tree(found.meta["config"])
        singers = tuple(VoiceSpeaker(**row, number=number) for number, row in enumerate(found.meta["singers"]))
        generator = Generator(config, content_channels=int(found.meta["content_channels"]), num_speakers=len(singers))
        generator.load_state_dict(checkpoint.average_weights(found))
    except (ConfigError, KeyError, TypeError, RuntimeError):
        raise _of_another_version(found) from None
    if "features" in found.meta and features.changed_features(found.meta["features"], config):
        raise _of_another_version(found)
    minutes = sum(singer.seconds for singer in singers) / 60
    about = {
        "made": f"{datetime.date.today().isoformat()} by svc {__version__}, step {found.step} of {config.train.steps}",
        "data": f"{minutes:.1f} minutes of {len(singers)} singers",
        "limits": "sings what it was given: words and breath follow the source; ask the singers before you publish",
    }
    encoder = content.encoder_fingerprint(config.features.content)
    return VoiceFile(generator.eval(), config, singers, card | about, encoder, len(singers))


def _of_another_version(found: checkpoint.Checkpoint) -> TrainingError:
    return TrainingError(f"{found.folder}: of another version; train anew, or use the svc that made it")
