"""One step of the game between generator and discriminator."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.config import Config
from svc.data.batch import Batch
from svc.losses.adversarial import (
    discriminator_loss,
    feature_matching_loss,
    frozen,
    generator_loss,
)
from svc.losses.perceptual import AudioLoss
from svc.losses.total import loss_weights, reconstruction_losses, weighted_sum
from svc.models.discriminators import DiscriminatorOutput
from svc.training.ema import follow
from svc.training.schedule import adversary_share
from svc.training.state import TrainState
from svc.training.update import begin, finish, reduced
from svc.training.virtual_speakers import DISCRIMINATOR, Part, draw

Terms = dict[str, Tensor]
NOBODY: Mapping[str, AudioLoss] = MappingProxyType({})


def train_step(
    state: TrainState,
    batch: Batch,
    config: Config,
    accelerator: Accelerator,
    listeners: Mapping[str, AudioLoss] = NOBODY,
) -> Terms:
    """Train both networks on a batch; returns every named term, detached.

    The randomness of a step depends on the seed and the step alone. Until ``train.adversary_start`` only
    reconstruction counts. With ``train.accumulate`` the discriminator hears all parts of the batch before it changes,
    and the generator is asked only then; terms are means over the parts.

    Args:
        state: changed in place.
        batch: crops.
        config: every knob.
        accelerator: of the process.
        listeners: of the perceptual terms, by name.

    Raises:
        TrainingError: nothing has been finite for many steps.
    """
    train = config.train
    torch.manual_seed(train.seed * 1_000_003 + state.step)
    refine, whole = state.step >= train.refine_start, state.step >= train.adversary_start
    seconds = {name: listener.seconds for name, listener in listeners.items()}
    rank, world = accelerator.process_index, accelerator.num_processes
    parts = draw(batch, config, seconds if whole else None, rank, world)
    alone = len(parts) == 1
    sung = [state.generator(parts[0].asked, refine)] if alone else []  # of several, to be sung again with gradients
    seen: Terms = {}
    if whole:
        with torch.no_grad():
            fakes = [sung[0].detach()] if alone else [state.generator(part.asked, refine) for part in parts]
        seen = train_discriminator(state, parts, fakes, config, accelerator)
    begin(state, state.generator, train)
    found: list[Terms] = []
    for number, part in enumerate(parts):
        with reduced(accelerator, state.generator, number == len(parts) - 1):
            audio = sung[0] if alone else state.generator(part.asked, refine)
            terms = generator_terms(state, part, audio, config, accelerator, listeners)
            total = weighted_sum(terms, loss_weights(config.loss, adversary_share(state.step, train)))
            accelerator.backward(total / len(parts))
        found.append(terms | {"total": total})
    told = _mean(found)
    norm = finish(state, state.generator, told, train, accelerator)
    follow(state.average, accelerator.unwrap_model(state.generator), train.ema, state.step)
    state.step += 1
    return seen | told | {"gradient_norm": norm, "left_out": torch.tensor(float(state.left_out))}


def train_discriminator(
    state: TrainState, parts: Sequence[Part], sung: Sequence[Tensor], config: Config, accelerator: Accelerator
) -> Terms:
    """Its share of a step, on renditions (B + K, T) of the parts: ``discriminator``."""
    judge = state.discriminator
    begin(state, judge, config.train)
    found: list[Terms] = []
    for number, (part, audio) in enumerate(zip(parts, sung, strict=True)):
        fake, real = part.heard(audio, DISCRIMINATOR)
        with reduced(accelerator, judge, number == len(parts) - 1):
            both = judge(torch.cat([fake, real]))
            guessed, true = _parted(both, len(fake))
            loss = discriminator_loss(fake=guessed, real=true)
            terms = {"discriminator": loss}
            accelerator.backward(loss / len(parts))
        found.append(terms)
    told = _mean(found)
    finish(state, judge, told, config.train, accelerator)
    return told


def generator_terms(
    state: TrainState,
    part: Part,
    sung: Tensor,
    config: Config,
    accelerator: Accelerator,
    listeners: Mapping[str, AudioLoss],
) -> Terms:
    """What is asked of renditions (B + K, T); before ``train.adversary_start``, only how near they are to the truth."""
    again = None
    if part.again is not None:
        with torch.no_grad():
            refine = state.step >= config.train.refine_start
            again = accelerator.unwrap_model(state.generator)(part.again, refine)
    terms = reconstruction_losses(fake=sung[: len(part.audio)], real=part.audio, config=config.loss, fake2=again)
    if state.step >= config.train.adversary_start:
        judge = accelerator.unwrap_model(state.discriminator)  # wrapped, it would wait for gradients of its own
        terms |= adversarial_terms(judge, *part.heard(sung, DISCRIMINATOR))
        terms |= perceptual_terms(listeners, part, sung, config)
    return terms


def adversarial_terms(judge: nn.Module, fake: Tensor, real: Tensor) -> Terms:
    """What the discriminator says of the generator's audio (B + K, T), beside the truth (B, T).

    ``adversarial`` and ``feature_matching``, and if other singers sang K of the crops, ``other_adversarial``.
    """
    with frozen(judge):
        judged, of_others = _parted(judge(fake), len(real))
        with torch.no_grad():
            truth = judge(real)
    terms = {
        "adversarial": generator_loss(fake=judged),
        "feature_matching": feature_matching_loss(fake=judged, real=truth),
    }
    return terms | ({"other_adversarial": generator_loss(fake=of_others)} if len(fake) > len(real) else {})


def perceptual_terms(listeners: Mapping[str, AudioLoss], part: Part, sung: Tensor, config: Config) -> Terms:
    """What every listener says of renditions (B + K, T): of the crops, and as ``other_…`` of those by other singers."""
    terms: Terms = {}
    for name, listener in listeners.items():
        own, theirs = listener(part.stretch(sung, name))
        terms |= {name: own} if getattr(config.loss, name) else {}
        terms |= {f"other_{name}": theirs} if theirs is not None and getattr(config.loss, f"other_{name}") else {}
    return terms


def _mean(found: Sequence[Terms]) -> Terms:
    """Every term over the parts, detached."""
    return {name: torch.stack([terms[name].detach() for terms in found]).mean() for name in found[0]}


def _parted(judgements: list[DiscriminatorOutput], first: int) -> tuple[list[DiscriminatorOutput], list[DiscriminatorOutput]]:
    """Judgements of the first items of a batch, and of the others."""
    one = [(scores[:first], [a[:first] for a in activations]) for scores, activations in judgements]
    return one, [(scores[first:], [a[first:] for a in activations]) for scores, activations in judgements]
