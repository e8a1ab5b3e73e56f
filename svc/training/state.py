"""Training state that a step changes: networks, optimisers, EMA weights and counters; wrapping by Accelerate."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.config import Config
from svc.data.manifest import Manifest
from svc.data.speaker_encodings import encode_speakers, principal_components
from svc.errors import TrainingError
from svc.features.training_data import TrainingData
from svc.models.discriminators import Discriminator, build_discriminator
from svc.models.generator import Generator
from svc.models.wavenet import WaveNet
from svc.models.weight_names import EMBEDDING
from svc.training.optim import make_optimizer

MAX_CONSECUTIVE_SKIPS = 20  # updates of one network


@dataclass(slots=True)
class TrainState:
    """State of a training run; a checkpoint stores all of it but ``consecutive_skips``.

    Attributes:
        generator: in training, perhaps wrapped for several processes.
        discriminator: likewise.
        ema_generator: exponential moving average (EMA) of the generator's weights.
        generator_optimizer: Adam.
        discriminator_optimizer: Adam.
        step: steps done.
        best_score: highest validation score so far.
        best_step: its step, if there is one.
        initial_data: what the weights at step 0 were trained on, if they are those of a voice.
        has_wavenet: whether the WaveNet was trained before step 0.
        num_skipped_updates: updates of either network with a gradient that was not finite.
        consecutive_skips: updates of each network that were skipped in a row.
    """

    generator: nn.Module
    discriminator: nn.Module
    ema_generator: Generator
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    step: int = 0
    best_score: float = -math.inf
    best_step: int | None = None
    initial_data: TrainingData = field(default_factory=TrainingData)
    has_wavenet: bool = False
    num_skipped_updates: int = 0
    consecutive_skips: dict[str, int] = field(default_factory=lambda: {"generator": 0, "discriminator": 0})

    def count_skipped(self, norms: Mapping[str, Tensor], losses: Mapping[str, Tensor]) -> None:
        """Count the updates of this step that were skipped; the one host sync of a step on GPUs.

        Args:
            norms: gradient norm of each network that was updated.
            losses: of this step, by name.

        Raises:
            TrainingError: the updates of a network were skipped too often in a row.
        """
        finite = torch.isfinite(torch.stack(list(norms.values()))).tolist()
        for network, is_finite in zip(norms, finite, strict=True):
            self.consecutive_skips[network] = 0 if is_finite else self.consecutive_skips[network] + 1
            self.num_skipped_updates += not is_finite
            if self.consecutive_skips[network] >= MAX_CONSECUTIVE_SKIPS:
                raise TrainingError(_skip_message(self.step, network, losses))


def create_state(config: Config, *, content_channels: int, num_speakers: int, device: torch.device) -> TrainState:
    """A new state; its weights depend on the seed alone."""
    torch.manual_seed(config.train.seed)
    generator = Generator(config, content_channels=content_channels, num_speakers=num_speakers).to(device)
    embedding_dim = config.model.speaker_embedding_dim
    discriminator = build_discriminator(config.discriminator, config.sample_rate, embedding_dim).to(device)
    ratio = config.train.embedding_learning_rate_ratio
    ratios = {EMBEDDING: ratio} if ratio != 1 else {}
    return TrainState(
        generator,
        discriminator,
        copy.deepcopy(generator).requires_grad_(False).eval(),
        make_optimizer(generator, config.train.learning_rate, ratios),
        make_optimizer(discriminator, config.train.discriminator_learning_rate),
    )


def start_embeddings(state: TrainState, prepared: Manifest) -> None:
    """Set the speaker embeddings of a new state to principal components of the speaker encoder's.

    Random ones of hundreds of speakers in 64 dimensions are nearly orthogonal, and Adam moves each of them little: the
    layers after them can then give similar speakers nothing in common.
    """
    embedding = state.generator.get_parameter(EMBEDDING)
    scores = torch.from_numpy(principal_components(encode_speakers(prepared), embedding.shape[1]))
    for generator in (state.generator, state.ema_generator):
        generator.get_parameter(EMBEDDING).data.copy_(scores)


def wrap(accelerator: Accelerator, state: TrainState, config: Config) -> None:
    """Compile the networks if wanted, and wrap networks and optimisers by Accelerate.

    Networks are compiled in place, which renames no weight, and before they are wrapped, because a step calls them
    unwrapped too; but not the source–filter stage: torch 2.11 compiles a wrong gradient of its complex spectra.
    """
    if config.train.compile:
        for network in (*state.generator.children(), state.discriminator):
            if isinstance(network, WaveNet | Discriminator):
                network.compile()
    handler = accelerator.ddp_handler
    assert handler is not None
    # Either the source–filter stage or the WaveNet has gradients. To look for such parameters costs time in each step.
    handler.find_unused_parameters = config.model.source_filter
    state.generator, state.generator_optimizer = accelerator.prepare(state.generator, state.generator_optimizer)
    handler.find_unused_parameters = False
    state.discriminator, state.discriminator_optimizer = accelerator.prepare(
        state.discriminator, state.discriminator_optimizer
    )


def unwrapped(accelerator: Accelerator, state: TrainState) -> TrainState:
    """The state with its networks and optimisers as they were before ``wrap``."""
    return replace(
        state,
        generator=accelerator.unwrap_model(state.generator),
        discriminator=accelerator.unwrap_model(state.discriminator),
        generator_optimizer=getattr(state.generator_optimizer, "optimizer", state.generator_optimizer),
        discriminator_optimizer=getattr(state.discriminator_optimizer, "optimizer", state.discriminator_optimizer),
    )


@torch.no_grad()
def update_ema(ema_generator: nn.Module, generator: nn.Module, decay: float, step: int) -> None:
    """Update the EMA weights; the decay is smaller in early steps, so that the initial weights are forgotten."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for mean, parameter in zip(ema_generator.parameters(), generator.parameters(), strict=True):
        mean.lerp_(parameter, weight)


def _skip_message(step: int, network: str, losses: Mapping[str, Tensor]) -> str:
    of_discriminator = network == "discriminator"
    own = [name for name in losses if name != "total" and (name == "discriminator") == of_discriminator]
    bad = [name for name in own if not torch.isfinite(losses[name])]
    what = ", ".join(bad) or f"the gradient of {' + '.join(own)}"
    option = "train.discriminator_learning_rate" if of_discriminator else "train.learning_rate"
    return (
        f"step {step}: {what} is not finite, for {MAX_CONSECUTIVE_SKIPS} steps; resume from the last checkpoint, which "
        f"is good, with a lower {option} and --allow-config-change"
    )
