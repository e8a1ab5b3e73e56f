"""Virtual speakers: sampled targets and mixes, micro batches, and the complete objective."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from conftest import TINY
from runs import first_batch, new_state

from svc import encoders
from svc.config import VirtualSpeakersConfig, load
from svc.data.batch import Batch
from svc.data.dataset import StepSampler
from svc.errors import DataError
from svc.features.conditioning import Conditioning
from svc.losses.perceptual import PerceptualLoss
from svc.training.micro_batch import MicroBatch, sample_micro_batches
from svc.training.step import train_step
from svc.training.virtual_speakers import evenly_spaced, sample_speakers, with_other_speakers


@pytest.fixture
def batch(tiny, prepared) -> Batch:
    return first_batch(prepared, tiny, 4)


def repeat(speakers: int, count: int, conditioning: Conditioning) -> Conditioning:
    """The first segment repeated, by one speaker after the other."""
    one = Conditioning.stack([conditioning.select(slice(0, 1))] * count)
    return one.with_speaker(torch.eye(speakers)[torch.arange(count) % speakers])


def convert(speakers: int, count: int, conditioning: Conditioning, **options) -> tuple[Conditioning, Conditioning]:
    """Conditioning of segments, and of the conversion of each."""
    torch.manual_seed(0)
    repeated = repeat(speakers, count, conditioning)
    draw = sample_speakers(count, speakers, VirtualSpeakersConfig(**options))
    return repeated, with_other_speakers(repeated, repeated.speaker.argmax(dim=-1), draw)


def test_a_conversion_keeps_all_but_the_speaker(batch):
    conditioning, converted = convert(5, 200, batch.conditioning, mixup_fraction=0.0)
    for name in ("f0", "voiced", "loudness", "content"):
        assert torch.equal(getattr(converted, name), getattr(conditioning, name)), name
    assert torch.equal(converted.speaker.sort(dim=-1).values[:, -1], torch.ones(200))
    own, drawn = conditioning.speaker.argmax(-1), converted.speaker.argmax(-1)
    assert not (own == drawn).any()
    pairs = {(int(a), int(b)) for a, b in zip(own, drawn, strict=True)}
    assert len(pairs) == 20  # every pair of speakers


def test_the_speaker_to_convert_to_is_that_of_the_batch(batch):
    repeated = repeat(5, 20, batch.conditioning)
    draw = sample_speakers(20, 5, VirtualSpeakersConfig(mixup_fraction=0.0))
    other = (torch.arange(20) + 2) % 5
    assert torch.equal(with_other_speakers(repeated, other, draw).speaker.argmax(dim=-1), other)


def test_mixes_are_convex_and_of_two_at_most(batch):
    conditioning, converted = convert(5, 300, batch.conditioning, mixup_fraction=0.5)
    assert (converted.speaker >= 0).all()
    torch.testing.assert_close(converted.speaker.sum(-1), torch.ones(300))
    assert int((converted.speaker > 0).sum(-1).max()) == 2
    alone = (converted.speaker.max(-1).values == 1).float().mean()
    assert 0.4 < float(alone) < 0.6
    assert float((conditioning.speaker * converted.speaker).sum()) == 0  # no mix with the segment's own speaker
    largest = converted.speaker.max(-1).values
    assert 0.6 < float(largest[largest < 1].mean()) < 0.9  # 3/4 for a uniform law


@pytest.mark.parametrize(("alpha", "low", "high"), [(0.05, 0.9, 1.0), (50.0, 0.5, 0.6)])
def test_the_distribution_of_the_mix(batch, alpha, low, high):
    """With a small alpha one weight is near 1, with a large one both are near ½."""
    _, converted = convert(5, 300, batch.conditioning, mixup_fraction=1.0, mixup_alpha=alpha)
    largest = converted.speaker.max(-1).values
    assert low < float(largest[largest < 1].mean()) < high


@pytest.mark.parametrize("speakers", [1, 7])
def test_any_number_of_singers(batch, speakers, tiny):
    config = replace(tiny, virtual_speakers=VirtualSpeakersConfig(fraction=0.5))
    batch = Batch(repeat(speakers, 4, batch.conditioning), batch.audio, batch.band, batch.other_speaker)
    (part,) = sample_micro_batches(batch, config, {})
    assert part.converted_from == ([] if speakers == 1 else [1, 3])
    assert len(part.conditioning.speaker) == 4 + len(part.converted_from)


def test_a_share_is_evenly_spaced(batch, tiny):
    assert evenly_spaced(0.25, 8) == [3, 7]
    assert evenly_spaced(0.7, 10) == [1, 2, 4, 5, 7, 8, 9]
    assert evenly_spaced(1.0, 3) == [0, 1, 2]
    assert evenly_spaced(1 / 3, 3) == [2]
    assert evenly_spaced(0.0, 4) == []
    for share, crops, parts in ((0.5, 12, 3), (0.25, 16, 4), (0.1, 40, 2)):
        size = crops // parts
        together = [size * part + number for part in range(parts) for number in evenly_spaced(share, size)]
        assert together == evenly_spaced(share, crops)
    (early,) = sample_micro_batches(batch, replace(tiny, virtual_speakers=VirtualSpeakersConfig(fraction=1.0)), None)
    assert early.converted_from == []


def test_a_share_that_is_no_whole_number_is_an_error(tiny):
    third = replace(tiny, virtual_speakers=VirtualSpeakersConfig(fraction=0.25))
    with pytest.raises(
        DataError, match=r"virtual_speakers.fraction 0.25 of 2 segments.* is not a whole number; change it"
    ):
        StepSampler(7, third, step=0, rank=0, world=1)


@pytest.mark.parametrize(("world", "accumulate"), [(1, 2), (2, 2)])
def test_micro_batches_and_processes_sample_what_the_whole_batch_would(batch, tiny, world, accumulate):
    config = replace(tiny, virtual_speakers=VirtualSpeakersConfig(fraction=0.5))
    flipped = batch.conditioning.with_speaker(batch.conditioning.speaker.flip(1))
    eight = Batch.stack([batch, Batch(flipped, batch.audio, batch.band, batch.other_speaker)])
    torch.manual_seed(3)
    (whole,) = sample_micro_batches(eight, config, {"crepe": 0.1})
    parts: list[MicroBatch] = []
    for rank, share in enumerate(eight.micro_batches(world)):
        torch.manual_seed(3)
        several = replace(config, train=replace(config.train, gradient_accumulation_steps=accumulate))
        parts += sample_micro_batches(share, several, {"crepe": 0.1}, rank, world)
    assert len(parts) == world * accumulate
    assert all(part.windows == whole.windows for part in parts)
    size = 8 // len(parts)
    assert [size * n + source for n, part in enumerate(parts) for source in part.converted_from] == whole.converted_from
    for name in ("speaker", "phase", "start_frame"):
        own = torch.cat([getattr(part.conditioning, name)[:size] for part in parts])
        theirs = torch.cat([getattr(part.conditioning, name)[size:] for part in parts])
        assert torch.equal(torch.cat([own, theirs]), getattr(whole.conditioning, name))
        second = torch.cat([getattr(part.second_conditioning, name) for part in parts])
        assert torch.equal(second, getattr(whole.second_conditioning, name))


WHOLE = {
    "train.wavenet_start_step": 0,
    "train.adversarial_start_step": 0,
    "virtual_speakers.fraction": 0.5,
    "loss.conversion.adversarial": 0.3,
    "perceptual.crepe.weight": 0.1,
    "perceptual.crepe.conversion_weight": 0.1,
    "perceptual.phones.weight": 0.1,
    "perceptual.phones.conversion_weight": 0.1,
    "train.adversarial_ramp_steps": 3,
}


def test_the_complete_objective_has_every_loss(batch):

    config = load(None, TINY | WHOLE)
    phones = replace(
        config.perceptual["phones"], encoder="cepstral", layers=("cepstra",), conversion_layers=("cepstra",)
    )
    perceptual = {
        "crepe": PerceptualLoss(encoders.load("crepe-tiny"), config.perceptual["crepe"], config.sample_rate),
        "phones": PerceptualLoss(encoders.load("cepstral"), phones, config.sample_rate),
    }
    runs = []
    for _ in range(2):
        losses = train_step(new_state(config), batch, config, Accelerator(cpu=True), perceptual)
        runs.append({name: float(loss) for name, loss in losses.items()})
    assert runs[0] == runs[1]  # the same random numbers in the same step
    assert runs[0].keys() == {
        *("spectral", "energy_repulsion", "adversarial", "feature_matching", "crepe", "phones"),
        *("conversion/adversarial", "conversion/crepe", "conversion/phones"),
        *("discriminator", "total", "grad_norm", "skipped_updates"),
    }
