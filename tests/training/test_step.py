"""What the discriminator is given to hear, and a generator that begins with the front of another."""

from dataclasses import replace

import pytest
import torch

from svc.audio.spectrogram import power_spectrogram
from svc.data import dataset
from svc.errors import TrainingError
from svc.training import checkpoint
from svc.training.state import create
from svc.training.step import QUIETEST, another_rendition, heard_piece


@pytest.mark.parametrize("level", [1.0, 0.01])
def test_the_discriminator_hears_every_level_alike(tiny, level):
    torch.manual_seed(0)
    fake, real = torch.randn(2, tiny.crop_frames * tiny.hop), torch.randn(2, tiny.crop_frames * tiny.hop)
    torch.manual_seed(1)
    heard, truth = heard_piece(level * fake, level * real, tiny)
    torch.manual_seed(1)
    loud, _ = heard_piece(fake, real, tiny)
    assert heard.shape == truth.shape == (2, tiny.adversary_frames * tiny.hop)
    torch.testing.assert_close(truth.square().mean(dim=-1), torch.ones(2))
    torch.testing.assert_close(heard, loud)


def testanother_rendition_rendition_has_other_noise_the_same_melody_and_no_gradient(tiny, prepared):
    items = dataset.CropDataset(prepared, tiny)
    conditioning = items[0, 0].conditioning
    generator = create(tiny, content=conditioning.content.shape[1], singers=2, device=torch.device("cpu")).generator
    one, other = generator(conditioning, False), another_rendition(generator, conditioning, False)
    assert not other.requires_grad
    assert not torch.allclose(one, other)
    loudness = [power_spectrogram(audio, 720, 240).sum(-1).log() for audio in (one.detach(), other)]
    assert (loudness[0] - loudness[1]).abs().median() < 1


def test_silence_is_not_made_loud(tiny):
    silence = torch.zeros(1, tiny.crop_frames * tiny.hop)
    heard, truth = heard_piece(silence + 0.1 * QUIETEST, silence, tiny)
    assert truth.abs().max() == 0
    torch.testing.assert_close(heard, torch.full_like(heard, 0.1))


def test_a_larger_generator_begins_with_what_another_has_learnt(tiny, tmp_path):
    device = torch.device("cpu")
    had = create(replace(tiny, model=replace(tiny.model, layers=0)), content=20, singers=2, device=device)
    for parameter in had.generator.parameters():
        parameter.grad = torch.ones_like(parameter)
    had.generator_optimizer.step()
    had.step = 7
    checkpoint.write(tmp_path, had, {}, keep=1)
    other = replace(tiny, discriminator=replace(tiny.discriminator, channels=8))
    grown = create(other, content=20, singers=2, device=device)
    fresh = {name: value.clone() for name, value in grown.generator.state_dict().items()}
    checkpoint.graft(checkpoint.at(tmp_path, "last"), grown)
    kept = had.generator.state_dict()
    assert grown.step == 7
    for name, value in grown.generator.state_dict().items():
        assert torch.equal(value, kept.get(name, fresh[name]))
    moments = grown.generator_optimizer.state
    known = {name for name, parameter in grown.generator.named_parameters() if parameter in moments}
    assert known == {name for name, _ in had.generator.named_parameters()} < fresh.keys()
    checkpoint.write(tmp_path, grown, {}, keep=1)
    with pytest.raises(TrainingError, match="of another model"):
        checkpoint.graft(checkpoint.at(tmp_path, "last"), had)
