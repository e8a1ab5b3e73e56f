"""One step of the game between generator and discriminator."""

from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.conditioning import Conditioning
from svc.config import Config
from svc.data.batch import Batch
from svc.errors import TrainingError
from svc.losses.adversarial import discriminator_loss, feature_matching_loss, frozen, generator_loss
from svc.losses.objective import reconstruction_terms, weighted_sum, weights
from svc.training.ema import follow
from svc.training.schedule import rate_share
from svc.training.state import TrainState

Terms = dict[str, Tensor]
ELSEWHERE = 2**31  # frames on, where no crop starts
QUIETEST = 1e-3  # level of a crop that is made louder for the discriminator; below is silence


def train_step(state: TrainState, batch: Batch, config: Config, accelerator: Accelerator) -> Terms:
    """Train both networks on a batch; returns every named term, detached.

    The randomness of a step depends on the seed, the step and the process alone.

    Raises:
        TrainingError: a term is not finite; no weight has been changed by it.
    """
    train = config.train
    torch.manual_seed((train.seed * 1_000_003 + state.step) * 1_009 + accelerator.process_index)
    plain = accelerator.unwrap_model(state.generator)
    refine = state.step >= train.refine_start
    fake = state.generator(batch.conditioning, refine)
    other = another_rendition(plain, batch.conditioning, refine) if config.loss.repulsion else None
    terms = reconstruction_terms(fake=fake, real=batch.audio, config=config.loss, other=other)
    seen: Terms = {}
    if state.step >= train.adversary_start:
        heard, truth = heard_piece(fake, batch.audio, config)
        seen["discriminator"] = train_discriminator(state, heard.detach(), truth, config, accelerator)
        terms |= adversarial_terms(state.discriminator, heard, truth)
    total = weighted_sum(terms, weights(config.loss))
    norm = _update(state.generator, state.generator_optimizer, total, terms, config, accelerator, state.step)
    follow(state.average, plain, train.ema, state.step)
    state.step += 1
    seen |= terms | {"total": total, "gradient_norm": norm}
    return {name: term.detach() for name, term in seen.items()}


@torch.no_grad()
def another_rendition(generator: nn.Module, conditioning: Conditioning, refine: bool) -> Tensor:
    """The same sung once more, with other noise and pulses at other times."""
    turn = torch.rand(len(conditioning.phase), 1, device=conditioning.phase.device)
    again = replace(conditioning, start=conditioning.start + ELSEWHERE, phase=(conditioning.phase + turn) % 1.0)
    rendition: Tensor = generator(again, refine)
    return rendition


def heard_piece(fake: Tensor, real: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """The same random stretch of every crop, for the discriminator, at the level at which the truth has unit power.

    At the level of a recording, it hears little but its own biases and stays at chance.
    """
    frames = config.adversary_frames
    first = int(torch.randint(config.crop_frames - frames + 1, ())) * config.hop
    last = first + frames * config.hop
    fake, real = fake[:, first:last], real[:, first:last]
    level = real.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(QUIETEST)
    return fake / level, real / level


def train_discriminator(
    state: TrainState, fake: Tensor, real: Tensor, config: Config, accelerator: Accelerator
) -> Tensor:
    """Its part of a step, on audio (B, T) of both kinds at the level of ``heard_piece``; returns its loss."""
    judge = state.discriminator
    both = judge(torch.cat([fake, real]))
    loss = discriminator_loss(fake=_half(both, 0), real=_half(both, 1))
    terms = {"discriminator": loss}
    _update(judge, state.discriminator_optimizer, loss, terms, config, accelerator, state.step, adversary=True)
    return loss


def adversarial_terms(judge: nn.Module, fake: Tensor, real: Tensor) -> Terms:
    """What the discriminator says of the generator: ``adversarial`` and ``feature_matching``."""
    with frozen(judge):
        judged = judge(fake)
        with torch.no_grad():
            truth = judge(real)
    return {
        "adversarial": generator_loss(fake=judged),
        "feature_matching": feature_matching_loss(fake=judged, real=truth),
    }


def _half(judgements: list[tuple[Tensor, list[Tensor]]], which: int) -> list[tuple[Tensor, list[Tensor]]]:
    return [(scores.chunk(2)[which], [a.chunk(2)[which] for a in activations]) for scores, activations in judgements]


def _update(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    terms: Terms,
    config: Config,
    accelerator: Accelerator,
    step: int,
    adversary: bool = False,
) -> Tensor:
    if not torch.isfinite(loss):
        guilty = [name for name, term in terms.items() if not torch.isfinite(term)] or ["total"]
        raise _not_finite(step, ", ".join(guilty), adversary)
    full = config.train.discriminator_rate if adversary else config.train.learning_rate
    for group in optimizer.param_groups:
        group["lr"] = full * rate_share(step, config.train)
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    norm: Tensor = accelerator.clip_grad_norm_(network.parameters(), config.train.clip)
    if not torch.isfinite(norm):
        optimizer.zero_grad(set_to_none=True)
        raise _not_finite(step, f"the gradient of {' + '.join(terms)}", adversary)
    optimizer.step()
    return norm


def _not_finite(step: int, what: str, adversary: bool) -> TrainingError:
    knob = "train.discriminator_rate" if adversary else "train.learning_rate"
    return TrainingError(
        f"step {step}: {what} is not finite; go on from the last checkpoint, which is good, "
        f"with a lower {knob} and --accept-changes"
    )
