"""One step of the game between generator and discriminator."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.conditioning import Conditioning
from svc.config import Config
from svc.data.batch import Batch
from svc.losses.adversarial import (
    discriminator_loss,
    feature_matching_loss,
    frozen,
    generator_loss,
    gradient_penalty,
)
from svc.losses.objective import reconstruction_terms, weighted_sum, weights
from svc.losses.perceptual import Listener
from svc.models.discriminators import Judgement
from svc.training.ema import follow
from svc.training.renditions import another_rendition, sung_by_others
from svc.training.schedule import adversary_share
from svc.training.state import TrainState
from svc.training.update import update

Terms = dict[str, Tensor]
QUIETEST = 1e-3  # level of a crop that is made louder for the discriminator; below is silence


def train_step(
    state: TrainState,
    batch: Batch,
    config: Config,
    accelerator: Accelerator,
    listeners: Mapping[str, Listener] = MappingProxyType({}),
) -> Terms:
    """Train both networks on a batch; returns every named term, detached.

    The randomness of a step depends on the seed, the step and the process alone. Until ``train.adversary_start`` only
    reconstruction counts.

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
    torch.manual_seed((train.seed * 1_000_003 + state.step) * 1_009 + accelerator.process_index)
    plain = accelerator.unwrap_model(state.generator)
    refine = state.step >= train.refine_start
    whole = state.step >= train.adversary_start
    others = sung_by_others(batch.conditioning, config.others) if whole else None
    asked = batch.conditioning if others is None else Conditioning.stack([batch.conditioning, others])
    sung = state.generator(asked, refine)
    fake = sung[: len(batch.audio)]
    again = another_rendition(plain, batch.conditioning, refine) if config.loss.repulsion else None
    terms = reconstruction_terms(fake=fake, real=batch.audio, config=config.loss, other=again)
    seen: Terms = {}
    if whole:
        heard, truth = heard_piece(sung, batch.audio, config.heard_frames(train.adversary_crop), config.hop)
        seen["discriminator"] = train_discriminator(state, heard.detach(), truth, asked.singer, config, accelerator)
        terms |= adversarial_terms(state.discriminator, heard, truth, asked.singer)
        terms |= perceptual_terms(listeners, sung, batch.audio, config)
    total = weighted_sum(terms, weights(config.loss, adversary_share(state.step, train)))
    norm = update(state, state.generator, total, terms, train, accelerator)
    follow(state.average, plain, train.ema, state.step)
    state.step += 1
    seen |= terms | {"total": total, "gradient_norm": norm, "left_out": torch.tensor(float(state.left_out))}
    return {name: term.detach() for name, term in seen.items()}


def heard_piece(fake: Tensor, real: Tensor, frames: int, hop: int) -> tuple[Tensor, Tensor]:
    """The same random stretch of every crop, for a network, at the level at which the truth has unit power.

    At the level of a recording, the discriminator hears little but its own biases and stays at chance.

    Args:
        fake: (B + K, T): of the crops, and of the first K of them by other singers.
        real: (B, T).
        frames: of the stretch.
        hop: samples in a frame.
    """
    first = int(torch.randint(real.shape[1] // hop - frames + 1, ())) * hop
    fake, real = fake[:, first : first + frames * hop], real[:, first : first + frames * hop]
    level = real.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(QUIETEST)
    return fake / torch.cat([level, level[: len(fake) - len(real)]]), real / level


def train_discriminator(
    state: TrainState, fake: Tensor, real: Tensor, singer: Tensor, config: Config, accelerator: Accelerator
) -> Tensor:
    """Its part of a step; returns its loss, without the penalty.

    Args:
        state: whose discriminator it is.
        fake: (B + K, T), as ``heard_piece`` gives it, without gradient.
        real: (B, T).
        singer: (B + K, S), of whom the first B sing both.
        config: penalty and learning rate.
        accelerator: of the process.
    """
    judge, weight = state.discriminator, config.discriminator.penalty
    real = real.detach().requires_grad_(weight > 0)
    guessed, true = _parted(judge(torch.cat([fake, real]), torch.cat([singer, singer[: len(real)]])), len(fake))
    loss = discriminator_loss(fake=guessed, real=true)
    terms = {"discriminator": loss}
    if weight:
        terms["penalty"] = weight * gradient_penalty(scores=[scores for scores, _ in true], real=real)
    update(state, judge, torch.stack([*terms.values()]).sum(), terms, config.train, accelerator)
    return loss


def adversarial_terms(judge: nn.Module, fake: Tensor, real: Tensor, singer: Tensor) -> Terms:
    """What the discriminator says of the generator's audio (B + K, T) by singers (B + K, S), beside the truth (B, T).

    ``adversarial`` and ``feature_matching``, and if other singers sang K of the crops, ``other_adversarial``.
    """
    with frozen(judge):
        judged, of_others = _parted(judge(fake, singer), len(real))
        with torch.no_grad():
            truth = judge(real, singer[: len(real)])
    terms = {
        "adversarial": generator_loss(fake=judged),
        "feature_matching": feature_matching_loss(fake=judged, real=truth),
    }
    return terms | ({"other_adversarial": generator_loss(fake=of_others)} if len(fake) > len(real) else {})


def perceptual_terms(listeners: Mapping[str, Listener], fake: Tensor, real: Tensor, config: Config) -> Terms:
    """What every listener says of renditions (B + K, T): of the crops, and as ``other_…`` of those by other singers."""
    terms = {}
    for name, listener in listeners.items():
        frames = config.heard_frames(listener.config.seconds)
        heard, truth = heard_piece(fake, real, frames, config.hop)
        if getattr(config.loss, name):
            terms[name] = listener.distance(heard[: len(real)], truth, listener.config.layers)
        if getattr(config.loss, f"other_{name}") and len(fake) > len(real):
            source = truth[: len(fake) - len(real)]
            terms[f"other_{name}"] = listener.distance(heard[len(real) :], source, listener.config.across)
    return terms


def _parted(judgements: list[Judgement], first: int) -> tuple[list[Judgement], list[Judgement]]:
    """Judgements of the first items of a batch, and of the others."""
    one = [(scores[:first], [a[:first] for a in activations]) for scores, activations in judgements]
    return one, [(scores[first:], [a[first:] for a in activations]) for scores, activations in judgements]
