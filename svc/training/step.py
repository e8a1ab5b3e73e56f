"""GAN training step: discriminator update, then generator update."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.config import Config
from svc.data.batch import Batch
from svc.features.conditioning import Conditioning, select_items
from svc.losses.adversarial import discriminator_loss, feature_matching_loss, frozen, generator_loss
from svc.losses.aperiodicity import aperiodicity_loss
from svc.losses.envelope import envelope_loss, measured_envelope, relative_envelope, spectral_envelope
from svc.losses.perceptual import AudioLoss
from svc.losses.stft import limit_band, reconstruction_losses
from svc.losses.total import loss_weights, weighted_sum
from svc.models.discriminators import DiscriminatorOutput
from svc.models.weight_names import EMBEDDING
from svc.training import optim
from svc.training.micro_batch import DISCRIMINATOR, MicroBatch, sample_micro_batches
from svc.training.state import TrainState, update_ema

Losses = dict[str, Tensor]
EnvelopeLoss = Callable[[Tensor, Conditioning, Tensor], Tensor]  # of converted envelopes, conditioning, source


def train_step(
    state: TrainState,
    batch: Batch,
    config: Config,
    accelerator: Accelerator,
    perceptual: Mapping[str, AudioLoss] = MappingProxyType({}),
    of_envelopes: Mapping[str, EnvelopeLoss] = MappingProxyType({}),
) -> Losses:
    """Train both networks on a batch; returns all losses, detached, as means over the micro batches.

    Random numbers depend on the seed and the step alone. All micro batches train the discriminator before the generator
    is updated. The state is changed in place.

    Raises:
        TrainingError: the updates of a network were skipped too often in a row.
    """
    train, generator, discriminator = config.train, state.generator, state.discriminator
    torch.manual_seed(train.seed * 1_000_003 + state.step)
    lr_factor = optim.lr_factor(state.step, train)
    optim.scale_learning_rates(lr_factor, state.generator_optimizer, state.discriminator_optimizer)
    use_wavenet = state.step >= train.wavenet_start_step
    adversarial = state.step >= train.adversarial_start_step
    envelopes_alone = state.step < train.synthesis_start_step
    perceptual = {} if envelopes_alone else perceptual
    window_seconds = {name: loss.segment_seconds for name, loss in perceptual.items()} if adversarial else None
    rank, world = accelerator.process_index, accelerator.num_processes
    of_envelopes = of_envelopes if envelopes_alone or not use_wavenet else {}  # later the envelopes are not trained
    convert = adversarial or bool(of_envelopes)
    micro_batches = sample_micro_batches(batch, config, window_seconds, rank, world, convert=convert)
    reuse = adversarial and len(micro_batches) == 1  # one output of the generator then serves both updates
    logs: dict[str, list[Tensor]] = {}
    norms: Losses = {}

    def generate(network: nn.Module, conditioning: Conditioning, band: Tensor) -> Tensor:
        if envelopes_alone:
            return network(conditioning, use_wavenet, synthesise=False)
        return limit_band(network(conditioning, use_wavenet), band, config.sample_rate)

    embedding = accelerator.unwrap_model(generator).get_parameter(EMBEDDING).detach()
    if adversarial:  # 1. discriminator update
        state.discriminator_optimizer.zero_grad()
        for mb in optim.sync_last(micro_batches, accelerator, discriminator):
            with torch.set_grad_enabled(reuse):
                mb.fake = generate(generator, mb.conditioning, mb.band)
                mb.judged = discriminator_inputs(mb, mb.fake, config)
            loss = discriminator_losses(discriminator, mb, embedding, config)
            accelerator.backward(loss / len(micro_batches))
            _append(logs, {"discriminator": loss})
        norms["discriminator"] = optim.clip_and_step(state.discriminator_optimizer, discriminator, train, accelerator)

    state.generator_optimizer.zero_grad()  # 2. generator update
    weights = loss_weights(config, optim.adversarial_ramp(state.step, train))
    for mb in optim.sync_last(micro_batches, accelerator, generator):
        size = len(mb.audio)
        own = mb.conditioning.select(slice(size))
        rendered = mb.conditioning if adversarial else own
        fake = mb.fake if reuse else None
        if fake is None:
            fake = generate(generator, rendered, mb.band[: len(rendered.f0)])
        losses: Losses = {}
        if envelopes_alone:
            target = (own, mb.audio, mb.band[:size], config.hop)
            losses["envelope"] = envelope_loss(fake[:size], *target)
            if weights["aperiodicity"]:
                losses["aperiodicity"] = aperiodicity_loss(fake[:size], *target)
        else:
            fake2 = None
            if mb.second_conditioning is not None:
                with torch.no_grad():
                    fake2 = generate(accelerator.unwrap_model(generator), mb.second_conditioning, mb.band[:size])
            losses |= reconstruction_losses(
                fake=fake[:size], real=mb.audio, config=config.loss, sample_rate=config.sample_rate, fake2=fake2
            )
        if of_envelopes and mb.converted_from:
            envelopes = fake[size:] if envelopes_alone and adversarial else None
            losses |= envelope_losses(accelerator.unwrap_model(generator), mb, of_envelopes, envelopes, use_wavenet)
        if adversarial:
            if not reuse:
                mb.judged = discriminator_inputs(mb, fake, config)
            losses |= adversarial_losses(accelerator.unwrap_model(discriminator), mb, embedding)
            losses |= perceptual_losses(perceptual, mb, fake, weights)
        total = weighted_sum(losses, weights)
        accelerator.backward(total / len(micro_batches))
        _append(logs, losses | {"total": total})
    norms["generator"] = optim.clip_and_step(state.generator_optimizer, generator, train, accelerator)

    means = {name: torch.stack(values).mean() for name, values in logs.items()}
    state.count_skipped(norms, means)
    update_ema(state.ema_generator, accelerator.unwrap_model(generator), train.ema_decay, state.step)
    state.step += 1
    return means | {"grad_norm": norms["generator"], "skipped_updates": torch.tensor(float(state.num_skipped_updates))}


def envelope_losses(
    generator: nn.Module,
    mb: MicroBatch,
    of_envelopes: Mapping[str, EnvelopeLoss],
    envelopes: Tensor | None,
    use_wavenet: bool,
) -> Losses:
    """Losses ``conversion/NAME`` of converted envelopes, without audio; they are predicted here if not given.

    The generator is not wrapped for several processes.
    """
    converted = mb.conditioning.select(slice(len(mb.audio), None))
    if envelopes is None:
        envelopes = generator(converted, use_wavenet, synthesise=False)
    source = select_items(mb.audio, mb.converted_from)
    return {f"conversion/{name}": loss(envelopes, converted, source) for name, loss in of_envelopes.items()}


def discriminator_inputs(mb: MicroBatch, fake: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """What a discriminator sees of B + K outputs of the generator, and of the B recordings: windows of audio.

    For log envelopes (B + K, N, 2, P), measured envelopes (…, N, P).
    """
    if fake.ndim == 2:
        return mb.normalised_window(fake, DISCRIMINATOR)
    own, hop = mb.conditioning.select(slice(len(mb.audio))), config.hop
    with torch.no_grad():
        real = spectral_envelope(mb.audio, own.f0, hop, fake.shape[-1])
        real = relative_envelope(real, own, mb.band[: len(real)], hop)
    measured = measured_envelope(fake, mb.conditioning, hop)
    return relative_envelope(measured, mb.conditioning, mb.band, hop), real


def discriminator_losses(discriminator: nn.Module, mb: MicroBatch, embedding: Tensor, config: Config) -> Tensor:
    """LSGAN loss of the discriminator on what is judged, with the speaker embeddings (S, E).

    A speaker-aware one also learns that the K recordings that are converted are not of the target speakers (as the
    mismatched pairs of Reed et al. 2016).
    """
    assert mb.judged is not None
    fake, real = mb.judged[0].detach(), mb.judged[1]
    speaker = mb.conditioning.speaker @ embedding
    own, target = speaker[: len(real)], speaker[len(real) :]
    if "envelope" in config.discriminator.kinds and mb.converted_from:
        fake, speaker = torch.cat([fake, select_items(real, mb.converted_from)]), torch.cat([speaker, target])
    outputs = discriminator(torch.cat([fake, real]), torch.cat([speaker, own]))
    fake_out, real_out = split_outputs(outputs, len(fake))
    return discriminator_loss(fake=fake_out, real=real_out)


def adversarial_losses(discriminator: nn.Module, mb: MicroBatch, embedding: Tensor) -> Losses:
    """LSGAN and feature-matching losses of the generator, and the LSGAN loss of converted segments, if any.

    The discriminator must not be wrapped for several processes: it gets no gradients here.
    """
    assert mb.judged is not None
    fake, real = mb.judged
    speaker = mb.conditioning.speaker @ embedding
    with frozen(discriminator):
        reconstructed, converted = split_outputs(discriminator(fake, speaker), len(real))
        with torch.no_grad():
            real_out = discriminator(real, speaker[: len(real)])
    losses = {
        "adversarial": generator_loss(fake=reconstructed),
        "feature_matching": feature_matching_loss(fake=reconstructed, real=real_out),
    }
    return losses | ({"conversion/adversarial": generator_loss(fake=converted)} if mb.converted_from else {})


def perceptual_losses(
    perceptual: Mapping[str, AudioLoss], mb: MicroBatch, fake: Tensor, weights: Mapping[str, float]
) -> Losses:
    """Losses on frozen encoders that have a weight: ``NAME``, and ``conversion/NAME`` of converted segments."""
    losses: Losses = {}
    for name, loss in perceptual.items():
        reconstruction, conversion = loss(mb.loss_inputs(fake, name))
        if weights[name]:
            losses[name] = reconstruction
        if conversion is not None and weights[f"conversion/{name}"]:
            losses[f"conversion/{name}"] = conversion
    return losses


def split_outputs(
    outputs: Sequence[DiscriminatorOutput], size: int
) -> tuple[list[DiscriminatorOutput], list[DiscriminatorOutput]]:
    """Discriminator outputs of the first ``size`` items of a batch, and of the rest."""
    first = [(scores[:size], [layer[:size] for layer in layers]) for scores, layers in outputs]
    return first, [(scores[size:], [layer[size:] for layer in layers]) for scores, layers in outputs]


def _append(logs: dict[str, list[Tensor]], losses: Losses) -> None:
    for name, loss in losses.items():
        logs.setdefault(name, []).append(loss.detach())
