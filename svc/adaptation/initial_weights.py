"""Start of a training: the generator of a voice, for other speakers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from svc.config import Config
from svc.errors import WeightsError
from svc.inference.converter import check_content_encoder
from svc.inference.voice import VoiceFile
from svc.models.weight_names import SPEAKER_PARAM_NAMES
from svc.training.state import TrainState


def initialise_from(path: Path, config: Config, speakers: Sequence[str]) -> Callable[[TrainState], None]:
    """A function that gives a new training state, of a config and of speakers by name, the weights of a voice file.

    A speaker of the same name in the voice starts at its parameters, others at the mean of all.

    Raises:
        WeightsError: the voice cannot be read, or has another sample rate, other features or another model.
    """
    voice = VoiceFile.read(path)
    if voice.config.sample_rate != config.sample_rate:
        rates = f"is a voice at {voice.config.sample_rate} Hz, and the config asks for {config.sample_rate} Hz"
        raise WeightsError(f"{path}: {rates}; choose another config with -c, or leave --from out")
    if (voice.config.features, voice.config.model) != (config.features, config.model):
        raise WeightsError(f"{path}: has other features or another model than the config; choose the config it was "
                           "trained with by -c, or leave --from out")  # fmt: skip
    check_content_encoder(voice)
    weights = {name: torch.from_numpy(value) for name, value in voice.weights.items()}

    index = {speaker.name: number for number, speaker in enumerate(voice.speakers)}
    rows = {
        name: torch.stack([weights[name][index[who]] if who in index else weights[name].mean(0) for who in speakers])
        for name in SPEAKER_PARAM_NAMES
    }

    def initialise(state: TrainState) -> None:
        state.initial_data, state.has_wavenet = voice.training_data, bool(voice.config.model.wavenet.layers)
        for generator in (state.generator, state.ema_generator):
            generator.load_state_dict(weights | rows)

    return initialise
