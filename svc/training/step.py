"""One step of the game between generator and discriminator."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from svc.conditioning import Conditioning
from svc.config import Config, OthersConfig
from svc.data.batch import Batch
from svc.errors import TrainingError
from svc.losses.adversarial import discriminator_loss, feature_matching_loss, frozen, generator_loss
from svc.losses.objective import reconstruction_terms, weighted_sum, weights
from svc.losses.perceptual import Listener
from svc.models.discriminators import Judgement
from svc.training.ema import follow
from svc.training.schedule import rate_share
from svc.training.state import TrainState

Terms = dict[str, Tensor]
ELSEWHERE = 2**31  # frames on, where no crop starts
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
        TrainingError: a term is not finite; no weight has been changed by it.
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
        seen["discriminator"] = train_discriminator(state, heard.detach(), truth, config, accelerator)
        terms |= adversarial_terms(state.discriminator, heard, truth)
        terms |= perceptual_terms(listeners, sung, batch.audio, config)
    total = weighted_sum(terms, weights(config.loss))
    norm = _update(state.generator, state.generator_optimizer, total, terms, config, accelerator, state.step)
    follow(state.average, plain, train.ema, state.step)
    state.step += 1
    seen |= terms | {"total": total, "gradient_norm": norm}
    return {name: term.detach() for name, term in seen.items()}


@torch.no_grad()
def another_rendition(generator: nn.Module, conditioning: Conditioning, refine: bool) -> Tensor:
    """The same sung once more, with other noise and pulses at other times."""
    rendition: Tensor = generator(_once_more(conditioning), refine)
    return rendition


def sung_by_others(conditioning: Conditioning, config: OthersConfig) -> Conditioning | None:
    """The first crops of a batch as somebody else is to sing them, one or a mix of two; none if nobody is."""
    batch, singers = conditioning.singer.shape
    if not config.share or singers < 2:
        return None
    count = max(1, round(config.share * batch))
    first = conditioning.first(count)
    own = first.singer.argmax(dim=-1)
    other = (own + torch.randint(1, singers, (count,)).to(own)) % singers
    second = torch.randint(singers, (count,)).to(own)
    share = torch.distributions.Beta(config.alpha, config.alpha).sample((count,))
    share = torch.where(torch.rand(count) < config.mixed, share, torch.ones(count)).to(first.singer)[:, None]
    mixed = share * functional.one_hot(other, singers) + (1 - share) * functional.one_hot(second, singers)
    return _once_more(first.with_singer(mixed))


def _once_more(conditioning: Conditioning) -> Conditioning:
    turn = torch.rand(len(conditioning.phase), 1, device=conditioning.phase.device)
    return replace(conditioning, start=conditioning.start + ELSEWHERE, phase=(conditioning.phase + turn) % 1.0)


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
    state: TrainState, fake: Tensor, real: Tensor, config: Config, accelerator: Accelerator
) -> Tensor:
    """Its part of a step, on audio (B, T) of both kinds at the level of ``heard_piece``; returns its loss."""
    judge = state.discriminator
    guessed, true = _parted(judge(torch.cat([fake, real])), len(fake))
    loss = discriminator_loss(fake=guessed, real=true)
    terms = {"discriminator": loss}
    _update(judge, state.discriminator_optimizer, loss, terms, config, accelerator, state.step, adversary=True)
    return loss


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
