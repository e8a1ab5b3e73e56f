"""Training step: windows, second samples, gradient accumulation, and loading a part of a checkpoint."""

from copy import deepcopy
from dataclasses import fields, replace

import pytest
import torch
from accelerate import Accelerator
from runs import first_batch, new_state, replaced

from svc.config import VirtualSpeakersConfig
from svc.errors import TrainingError
from svc.features.conditioning import Conditioning
from svc.losses.envelope_phones import EnvelopePhoneLoss
from svc.losses.total import loss_weights
from svc.training import checkpoint
from svc.training.micro_batch import DISCRIMINATOR, MicroBatch, sample_micro_batches
from svc.training.optim import adversarial_ramp
from svc.training.perceptual_losses import build_envelope_losses
from svc.training.step import train_step

CPU = Accelerator(cpu=True)


def micro_batch_of(audio: torch.Tensor, window: slice, others: int = 0) -> MicroBatch:
    """Segments with a window for the discriminator; the first ``others`` of them are also converted."""
    conditioning = Conditioning(**{f.name: torch.zeros(len(audio) + others, 1) for f in fields(Conditioning)})
    band = torch.full((len(audio) + others,), 12_000.0)
    return MicroBatch(audio, conditioning, list(range(others)), None, band, {DISCRIMINATOR: window})


def test_windows_are_normalised(tiny):
    torch.manual_seed(0)
    fake, real = torch.randn(2, 2, tiny.segment_frames * tiny.hop)
    length = tiny.clamp_to_segment(tiny.train.discriminator_segment_seconds) * tiny.hop
    window = slice(3 * tiny.hop, 3 * tiny.hop + length)
    loud, _ = micro_batch_of(real, window).normalised_window(fake, DISCRIMINATOR)
    fake_window, real_window = micro_batch_of(0.01 * real, window).normalised_window(0.01 * fake, DISCRIMINATOR)
    assert fake_window.shape == real_window.shape == (2, length)
    torch.testing.assert_close(real_window.square().mean(dim=-1), torch.ones(2))
    torch.testing.assert_close(fake_window, loud)


def test_conversions_have_the_level_of_their_source():
    real = torch.tensor([[0.1], [1.0]]) * torch.ones(2, 2_400)
    part = micro_batch_of(real, slice(None), others=1)
    fake_window, real_window = part.normalised_window(torch.cat([real, real[:1]]), DISCRIMINATOR)
    torch.testing.assert_close(real_window, torch.ones(2, 2_400))
    torch.testing.assert_close(fake_window, torch.ones(3, 2_400))


@pytest.fixture
def two_samples(tiny, prepared):
    """A generator, the conditioning of both samples, and the audio of both."""
    first = first_batch(prepared, tiny, 2).conditioning
    generator = new_state(tiny).generator
    conditionings = []
    generator.register_forward_pre_hook(lambda _, inputs: conditionings.append(inputs[0]))
    one = generator(first, False)
    with torch.no_grad():
        other = generator(first.with_new_noise(torch.tensor([0.3, 0.6])), False)
    return generator, conditionings, (one, other)


def test_a_second_sample_has_the_same_features_and_another_phase(two_samples):
    _, (first, second), _ = two_samples
    for name in ("f0", "voiced", "loudness", "content", "speaker"):
        assert torch.equal(getattr(second, name), getattr(first, name)), name
    turn = (second.phase - first.phase) % 1.0
    assert len({0.0, *turn[:, 0].tolist()}) == 3
    away = (turn - turn[:, :1] + 0.5) % 1.0 - 0.5
    assert away.abs().max() < 1e-5  # the same from the first frame to the last, so that the pitch stays


def test_a_second_sample_has_other_noise_and_no_gradient(two_samples):
    generator, conditionings, (one, other) = two_samples
    assert one.requires_grad
    assert not other.requires_grad
    for noises in zip(*(generator.excitation(song)[:, 1] for song in conditionings), strict=True):
        assert abs(float(torch.corrcoef(torch.stack(noises))[0, 1])) < 0.05
        assert [float(noise.square().mean()) for noise in noises] == pytest.approx([1, 1], rel=0.05)


def test_a_larger_generator_starts_from_a_smaller_one(tiny, tmp_path):
    had = new_state(replace(tiny, model=replace(tiny.model, wavenet=replace(tiny.model.wavenet, layers=0))))
    for parameter in had.generator.parameters():
        parameter.grad = torch.ones_like(parameter)
    had.generator_optimizer.step()
    had.step = 7
    checkpoint.write(tmp_path, had, {}, keep=1)
    other = replace(tiny, discriminator=replace(tiny.discriminator, channels=8))
    grown = new_state(other)
    fresh = {name: value.clone() for name, value in grown.generator.state_dict().items()}
    checkpoint.load_partial(checkpoint.load_named(tmp_path, "last"), grown)
    kept = had.generator.state_dict()
    assert grown.step == 7
    for name, value in grown.generator.state_dict().items():
        assert torch.equal(value, kept.get(name, fresh[name]))
    moments = grown.generator_optimizer.state
    known = {name for name, parameter in grown.generator.named_parameters() if parameter in moments}
    assert known == {name for name, _ in had.generator.named_parameters()} < fresh.keys()
    checkpoint.write(tmp_path, grown, {}, keep=1)
    with pytest.raises(TrainingError, match="of another model"):
        checkpoint.load_partial(checkpoint.load_named(tmp_path, "last"), had)


def test_adversarial_losses_ramp_up(tiny):
    train = replace(tiny.train, adversarial_start_step=100, adversarial_ramp_steps=4)
    assert [adversarial_ramp(step, train) for step in (100, 101, 103, 104, 999)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert adversarial_ramp(100, replace(train, adversarial_ramp_steps=0)) == 1.0
    whole, half = loss_weights(tiny), loss_weights(tiny, 0.5)
    assert half["spectral"] == whole["spectral"]
    assert half["energy_repulsion"] == whole["energy_repulsion"]
    assert half["adversarial"] == whole["adversarial"] / 2


def test_windows_are_whole_frames_anywhere_in_the_segment(tiny, prepared):
    batch = first_batch(prepared, tiny, 2)
    torch.manual_seed(0)
    sampled = [sample_micro_batches(batch, tiny, {"crepe": 0.1, "phones": 99.0})[0].windows for _ in range(300)]
    length = tiny.clamp_to_segment(tiny.train.discriminator_segment_seconds) * tiny.hop
    starts = {windows[DISCRIMINATOR].start for windows in sampled}
    assert starts == set(range(0, batch.audio.shape[1] - length + 1, tiny.hop))
    assert all(windows[DISCRIMINATOR].stop - windows[DISCRIMINATOR].start == length for windows in sampled)
    assert all(windows["phones"] == slice(0, batch.audio.shape[1]) for windows in sampled)
    assert all(windows["crepe"].stop <= batch.audio.shape[1] for windows in sampled)
    assert sample_micro_batches(batch, tiny, None)[0].windows == {}


def test_a_batch_is_overfitted(tiny, prepared):
    options = {"wavenet_start_step": 10, "adversarial_start_step": 20, "warmup_steps": 1, "learning_rate": 5e-3}
    config = replaced(tiny, **options)
    batch, current = first_batch(prepared, config, 2), new_state(config)
    spectral = [float(train_step(current, batch, config, Accelerator(cpu=True))["spectral"]) for _ in range(30)]
    assert spectral[10] < 0.9 * spectral[0]
    assert spectral[-1] < 0.8 * spectral[0]


def test_before_synthesis_the_envelopes_alone_are_trained(tiny, prepared):
    """The spectral distance of the audio falls with them."""
    later = {"wavenet_start_step": 99, "adversarial_start_step": 99}
    config = replaced(tiny, synthesis_start_step=15, **later, warmup_steps=1, learning_rate=5e-3)
    batch, current = first_batch(prepared, config, 2), new_state(config)
    wavenet = {name: value.clone() for name, value in current.generator.wavenet.named_parameters()}
    untrained = float(train_step(deepcopy(current), batch, replaced(config, synthesis_start_step=0), CPU)["spectral"])
    losses = [train_step(current, batch, config, CPU) for _ in range(16)]
    assert {"envelope", "aperiodicity", "total"} < losses[0].keys()
    assert "spectral" not in losses[0]
    assert float(losses[14]["envelope"]) < 0.8 * float(losses[0]["envelope"])
    assert float(losses[15]["spectral"]) < 0.9 * untrained
    for name, value in current.generator.wavenet.named_parameters():
        torch.testing.assert_close(value, wavenet[name], rtol=0, atol=0)


def test_an_envelope_discriminator_trains_the_wavenet_without_audio(tiny, prepared):
    """The stage stays as it is, and the converted envelopes have the phone loss."""
    later = {"wavenet_start_step": 0, "adversarial_start_step": 0, "synthesis_start_step": 99}
    loss = replace(tiny.loss, conversion=replace(tiny.loss.conversion, envelope_phones=2.0, adversarial=1.0))
    config = replace(
        replaced(tiny, **later),
        loss=loss,
        discriminator=replace(tiny.discriminator, kinds=("envelope",)),
        virtual_speakers=VirtualSpeakersConfig(fraction=0.5),
    )
    phones = EnvelopePhoneLoss(config.model.envelope_points, config.sample_rate)
    state, batch = new_state(config), first_batch(prepared, config, 2)
    before = {name: value.clone() for name, value in state.generator.named_parameters()}
    losses = train_step(state, batch, config, CPU, of_envelopes={"envelope_phones": phones})
    expected = {"envelope", "aperiodicity", "adversarial", "feature_matching", "discriminator"}
    assert expected | {"conversion/adversarial", "conversion/envelope_phones"} < losses.keys()
    assert "spectral" not in losses
    assert torch.isfinite(torch.stack(list(losses.values()))).all()
    changed = {name for name, value in state.generator.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("wavenet.") for name in changed)
    for _ in range(15):
        later_losses = train_step(state, batch, config, CPU, of_envelopes={"envelope_phones": phones})
    assert float(later_losses["discriminator"]) < float(losses["discriminator"])


def test_losses_of_converted_envelopes_are_built_with_centroids_of_all_speakers(tiny, prepared):
    loss = replace(tiny.loss, conversion=replace(tiny.loss.conversion, envelope_speaker=1.0, envelope_phones=1.0))
    config = replace(tiny, loss=loss, virtual_speakers=VirtualSpeakersConfig(fraction=0.5))
    losses = build_envelope_losses(prepared, config)
    assert set(losses) == {"envelope_phones", "envelope_speaker"}
    centroids = losses["envelope_speaker"].centroids
    assert centroids.shape == (len(prepared.speakers), 128)
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(len(prepared.speakers)))
    assert float(centroids[0] @ centroids[1]) < 0.95
    step = train_step(
        new_state(config),
        first_batch(prepared, config, 2),
        replaced(config, wavenet_start_step=9),
        CPU,
        of_envelopes=losses,
    )
    assert 0 < float(step["conversion/envelope_speaker"]) < 2
    assert build_envelope_losses(prepared, tiny) == {}


@pytest.mark.parametrize(("start", "reconstruction"), [(15, "envelope"), (0, "spectral")])
def test_converted_envelopes_have_a_phone_loss_before_the_wavenet(tiny, prepared, start, reconstruction):
    config = replaced(tiny, synthesis_start_step=start, wavenet_start_step=15, adversarial_start_step=15)
    loss = replace(config.loss, conversion=replace(config.loss.conversion, envelope_phones=2.0))
    config = replace(config, loss=loss, virtual_speakers=VirtualSpeakersConfig(fraction=0.5))
    phones = EnvelopePhoneLoss(config.model.envelope_points, config.sample_rate)
    losses = train_step(
        new_state(config), first_batch(prepared, config, 2), config, CPU, of_envelopes={"envelope_phones": phones}
    )
    distance = float(losses["conversion/envelope_phones"])
    assert 0.01 < distance < 1
    others = float(losses[reconstruction]) + float(losses.get("aperiodicity", 0))
    others += config.loss.energy_repulsion * float(losses.get("energy_repulsion", 0))
    assert float(losses["total"]) == pytest.approx(others + 2 * distance, rel=1e-5)
    later = replaced(config, synthesis_start_step=0, wavenet_start_step=0)
    assert "conversion/envelope_phones" not in train_step(
        new_state(later), first_batch(prepared, later, 2), later, CPU, of_envelopes={"envelope_phones": phones}
    )


def _gradient(network):
    """Of all parameters that this step trains: not the source–filter stage, where the WaveNet is."""
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def test_micro_batches_add_up_to_the_batch(tiny, prepared):
    """In every loss, and in the gradients of both networks but for rounding."""
    options = {"wavenet_start_step": 0, "adversarial_start_step": 0, "batch_size": 4}
    options["discriminator_learning_rate"] = 1e-9  # Adam's first step is as large where the gradient is but rounding
    plain = replaced(tiny, **options)
    batch = first_batch(prepared, plain, 4)
    gradients, first = [], []
    for parts in (1, 4):
        config = replaced(plain, gradient_accumulation_steps=parts)
        current = new_state(config)
        losses = train_step(current, batch, config, Accelerator(cpu=True))
        networks = (current.generator, current.discriminator)
        gradients.append([_gradient(network) for network in networks])
        first.append({name: float(loss) for name, loss in losses.items()})
        assert current.step == 1
    for whole, summed, near in zip(*gradients, (1e-2, 1e-6), strict=True):  # the log of faint bins magnifies rounding
        assert float((whole - summed).norm()) < near * float(whole.norm())
    assert "discriminator" in first[0]
    assert first[0] | {"grad_norm": 0} == pytest.approx(first[1] | {"grad_norm": 0}, rel=1e-5)
