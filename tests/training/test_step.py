"""Training step: windows, second samples, gradient accumulation, and loading a part of a checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from svc.audio.files import Audio
from svc.audio.stft import power_spectrogram
from svc.data import dataset
from svc.data.batch import Batch
from svc.errors import TrainingError
from svc.features import f0
from svc.features.conditioning import Conditioning
from svc.losses.total import loss_weights
from svc.training import checkpoint
from svc.training.state import create_state
from svc.training.optim import adversarial_ramp
from svc.training.step import train_step
from svc.training.virtual_speakers import DISCRIMINATOR, MIN_LEVEL, MicroBatch, sample_micro_batches, with_new_noise


def micro_batch_of(audio: torch.Tensor, place: slice, others: int = 0) -> MicroBatch:
    """Crops of which the discriminator hears a place, the first so many of them sung by others as well."""
    some = torch.zeros(len(audio) + others, 1)
    asked = Conditioning(
        f0=some, voiced=some, phase=some, loudness=some, relative_loudness=some, content=some, speaker=some, start_frame=some
    )
    return MicroBatch(audio, asked, list(range(others)), None, {DISCRIMINATOR: place})


@pytest.mark.parametrize("level", [1.0, 0.01])
def test_the_discriminator_hears_every_level_alike(tiny, level):
    torch.manual_seed(0)
    fake, real = torch.randn(2, tiny.segment_frames * tiny.hop), torch.randn(2, tiny.segment_frames * tiny.hop)
    place = slice(3 * tiny.hop, 3 * tiny.hop + tiny.clamp_to_segment(tiny.train.discriminator_segment_seconds) * tiny.hop)
    heard, truth = micro_batch_of(level * real, place).normalised_window(level * fake, DISCRIMINATOR)
    loud, _ = micro_batch_of(real, place).normalised_window(fake, DISCRIMINATOR)
    assert heard.shape == truth.shape == (2, tiny.clamp_to_segment(tiny.train.discriminator_segment_seconds) * tiny.hop)
    torch.testing.assert_close(truth.square().mean(dim=-1), torch.ones(2))
    torch.testing.assert_close(heard, loud)


@pytest.fixture
def sung_twice(tiny, prepared):
    """A generator, what it was told to sing, how that was put the second time, and both renditions."""
    items = dataset.SegmentDataset(prepared, tiny)
    told = Conditioning.stack([items[0, number].conditioning for number in range(2)])
    generator = create_state(tiny, content_channels=told.content.shape[1], num_speakers=2, device=torch.device("cpu")).generator
    asked = []
    generator.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[0]))
    one = generator(told, False)
    with torch.no_grad():
        other = generator(with_new_noise(told, torch.tensor([0.3, 0.6])), False)
    return generator, asked, (one, other)


def test_another_rendition_is_of_the_same_song(sung_twice):
    _, (told, again), _ = sung_twice
    for name in ("f0", "voiced", "loudness", "content", "singer"):
        assert torch.equal(getattr(again, name), getattr(told, name)), name


def test_another_rendition_has_pulses_at_other_times(sung_twice):
    _, (told, again), _ = sung_twice
    turn = (again.phase - told.phase) % 1.0
    first, second = turn[:, 0].tolist()
    assert len({0.0, first, second}) == 3
    away = (turn - turn[:, :1] + 0.5) % 1.0 - 0.5
    assert away.abs().max() < 1e-5  # the same from the first frame to the last, so that the pitch stays


def test_another_rendition_has_other_noise_and_no_gradient(sung_twice):
    generator, asked, (one, other) = sung_twice
    assert one.requires_grad
    assert not other.requires_grad
    for noises in zip(*(generator.excitation(song)[:, 1] for song in asked), strict=True):
        assert abs(float(torch.corrcoef(torch.stack(noises))[0, 1])) < 0.05
        assert [float(noise.square().mean()) for noise in noises] == pytest.approx([1, 1], rel=0.05)


def test_another_rendition_sounds_as_high_and_as_loud(sung_twice, tiny):
    _, (told, _), renditions = sung_twice
    sung = [audio.detach() for audio in renditions]
    levels = [power_spectrogram(audio, 720, 240).sum(-1).log() for audio in sung]
    assert (levels[0] - levels[1]).abs().median() < 0.5
    for audio in sung:
        heard = [f0.track(Audio(row.numpy(), tiny.sample_rate), told.frames, tiny.features.f0)[0] for row in audio]
        cents = 1200 * np.log2(np.stack(heard) / told.f0.numpy())[told.voiced.numpy() > 0]
        assert len(cents) > 20
        assert np.median(np.abs(cents)) < 10


def test_silence_is_not_made_loud(tiny):
    silence = torch.zeros(1, tiny.segment_frames * tiny.hop)
    heard, truth = micro_batch_of(silence, slice(None)).normalised_window(silence + 0.1 * MIN_LEVEL, DISCRIMINATOR)
    assert truth.abs().max() == 0
    torch.testing.assert_close(heard, torch.full_like(heard, 0.1))


def test_a_larger_generator_begins_with_what_another_has_learnt(tiny, tmp_path):
    device = torch.device("cpu")
    had = create_state(replace(tiny, model=replace(tiny.model, wavenet=replace(tiny.model.wavenet, layers=0))), content_channels=20, num_speakers=2, device=device)
    for parameter in had.generator.parameters():
        parameter.grad = torch.ones_like(parameter)
    had.generator_optimizer.step()
    had.step = 7
    checkpoint.write(tmp_path, had, {}, keep=1)
    other = replace(tiny, discriminator=replace(tiny.discriminator, channels=8))
    grown = create_state(other, content_channels=20, num_speakers=2, device=device)
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


def test_terms_without_a_truth_join_slowly(tiny):
    train = replace(tiny.train, adversarial_start_step=100, adversarial_ramp_steps=4)
    assert [adversarial_ramp(step, train) for step in (100, 101, 103, 104, 999)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert adversarial_ramp(100, replace(train, adversarial_ramp_steps=0)) == 1.0
    whole, half = loss_weights(tiny), loss_weights(tiny, 0.5)
    assert half["spectral"] == whole["spectral"]
    assert half["energy_repulsion"] == whole["energy_repulsion"]
    assert half["adversarial"] == whole["adversarial"] / 2


def test_places_are_whole_frames_inside_the_crop_and_everywhere_in_it(tiny, prepared):
    items = dataset.SegmentDataset(prepared, tiny)
    batch = Batch.stack([items[0, number] for number in range(2)])
    torch.manual_seed(0)
    drawn = [sample_micro_batches(batch, tiny, {"crepe": 0.1, "phones": 99.0})[0].windows for _ in range(300)]
    length = tiny.clamp_to_segment(tiny.train.discriminator_segment_seconds) * tiny.hop
    starts = {places[DISCRIMINATOR].start for places in drawn}
    assert starts == set(range(0, batch.audio.shape[1] - length + 1, tiny.hop))
    assert all(places[DISCRIMINATOR].stop - places[DISCRIMINATOR].start == length for places in drawn)
    assert all(places["phones"] == slice(0, batch.audio.shape[1]) for places in drawn)
    assert all(places["crepe"].stop <= batch.audio.shape[1] for places in drawn)
    assert sample_micro_batches(batch, tiny, None)[0].windows == {}


def test_a_batch_is_learnt(tiny, prepared):
    knobs = {"wavenet_start_step": 10, "adversarial_start_step": 20, "warmup_steps": 1, "learning_rate": 5e-3}
    config = replace(tiny, train=replace(tiny.train, **knobs))
    items = dataset.SegmentDataset(prepared, config)
    batch = Batch.stack([items[0, number] for number in range(2)])
    current = create_state(config, content_channels=20, num_speakers=2, device=torch.device("cpu"))
    spectral = [float(train_step(current, batch, config, Accelerator(cpu=True))["spectral"]) for _ in range(30)]
    assert spectral[10] < 0.9 * spectral[0]
    assert spectral[-1] < 0.8 * spectral[0]


def _gradient(network):
    """Of all that is trained: accents are not."""
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.requires_grad])


@pytest.mark.parametrize("accumulate", [2, 4])
def test_parts_come_to_the_step_of_the_whole(tiny, prepared, accumulate):
    """In every term, and in the gradients of both networks as far as rounding lets them."""
    knobs = {"wavenet_start_step": 0, "adversarial_start_step": 0, "batch_size": 4}
    knobs["discriminator_learning_rate"] = 1e-9  # Adam's first step is as large where the gradient is but rounding
    plain = replace(tiny, train=replace(tiny.train, **knobs))
    items = dataset.SegmentDataset(prepared, plain)
    batch = Batch.stack([items[0, number] for number in range(4)])
    gradients, told = [], []
    for parts in (1, accumulate):
        config = replace(plain, train=replace(plain.train, gradient_accumulation_steps=parts))
        current = create_state(config, content_channels=20, num_speakers=2, device=torch.device("cpu"))
        terms = train_step(current, batch, config, Accelerator(cpu=True))
        networks = (current.generator, current.discriminator)
        gradients.append([_gradient(network) for network in networks])
        told.append({name: float(term) for name, term in terms.items()})
        assert current.step == 1
    for whole, summed, near in zip(*gradients, (1e-2, 1e-6), strict=True):  # the log of faint bins magnifies rounding
        assert float((whole - summed).norm()) < near * float(whole.norm())
    assert "discriminator" in told[0]
    assert told[0] | {"grad_norm": 0} == pytest.approx(told[1] | {"grad_norm": 0}, rel=1e-5)
