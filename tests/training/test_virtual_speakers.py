"""Crops sung by somebody else: who is drawn, what is asked of them, and that nothing changes without them."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

from svc.config import OthersConfig, load
from svc.data import dataset
from svc.data.batch import Batch, spread
from svc.data.dataset import StepSampler
from svc.errors import DataError
from svc.features.conditioning import Conditioning
from svc.losses.perceptual import Listener, _encoder
from svc.training.state import create
from svc.training.step import train_step
from svc.training.virtual_speakers import DISCRIMINATOR, Part, _chance, draw, sung_by_others


@pytest.fixture
def told(tiny, prepared) -> Batch:
    items = dataset.CropDataset(prepared, tiny)
    return Batch.stack([items[0, number] for number in range(4)])


def of(singers: int, batch: int, conditioning: Conditioning) -> Conditioning:
    """A batch of the first crop, by one singer after the other."""
    one = Conditioning.stack([conditioning.items(slice(0, 1))] * batch)
    return one.with_singer(torch.eye(singers)[torch.arange(batch) % singers])


def sung(singers: int, batch: int, conditioning: Conditioning, **knobs) -> tuple[Conditioning, Conditioning]:
    """What the crops are told, and what those are told that are sung by somebody else: all of them."""
    torch.manual_seed(0)
    asked = of(singers, batch, conditioning)
    return asked, sung_by_others(asked, _chance(batch, singers, OthersConfig(**knobs)))


def test_somebody_else_sings_the_same(told):
    asked, others = sung(5, 200, told.conditioning, mixed=0.0)
    for name in ("f0", "voiced", "loudness", "content"):
        assert torch.equal(getattr(others, name), getattr(asked, name)), name
    assert torch.equal(others.singer.sort(dim=-1).values[:, -1], torch.ones(200))
    own, drawn = asked.singer.argmax(-1), others.singer.argmax(-1)
    assert not (own == drawn).any()
    pairs = {(int(a), int(b)) for a, b in zip(own, drawn, strict=True)}
    assert len(pairs) == 20  # everybody is sung by everybody else


def test_mixes_are_convex_and_of_two_at_most(told):
    asked, others = sung(5, 300, told.conditioning, mixed=0.5)
    assert (others.singer >= 0).all()
    torch.testing.assert_close(others.singer.sum(-1), torch.ones(300))
    assert int((others.singer > 0).sum(-1).max()) == 2
    alone = (others.singer.max(-1).values == 1).float().mean()
    assert 0.4 < float(alone) < 0.6
    assert float((asked.singer * others.singer).sum()) == 0  # nobody is mixed with the crop's own singer
    largest = others.singer.max(-1).values
    assert 0.6 < float(largest[largest < 1].mean()) < 0.9  # 3/4 for a uniform law


@pytest.mark.parametrize(("alpha", "low", "high"), [(0.05, 0.9, 1.0), (50.0, 0.5, 0.6)])
def test_the_law_of_the_mix(told, alpha, low, high):
    """With a small alpha one of the two prevails, with a large one they are alike."""
    _, others = sung(5, 300, told.conditioning, mixed=1.0, alpha=alpha)
    largest = others.singer.max(-1).values
    assert low < float(largest[largest < 1].mean()) < high


def test_of_two_singers_the_mix_is_with_the_own(told):
    _, others = sung(2, 100, told.conditioning, mixed=1.0)
    assert ((others.singer > 0).sum(-1) == 2).all()


@pytest.mark.parametrize("singers", [1, 2, 3, 7])
def test_any_number_of_singers(told, singers, tiny):
    config = replace(tiny, others=OthersConfig(share=0.5))
    batch = Batch(of(singers, 4, told.conditioning), told.audio)
    (part,) = draw(batch, config, {})
    assert part.sources == ([] if singers == 1 else [1, 3])
    assert len(part.asked.singer) == 4 + len(part.sources)


def test_a_share_is_spread_over_the_crops(told, tiny):
    assert spread(0.25, 8) == [3, 7]
    assert spread(0.7, 10) == [1, 2, 4, 5, 7, 8, 9]
    assert spread(1.0, 3) == [0, 1, 2]
    assert spread(1 / 3, 3) == [2]
    assert spread(0.0, 4) == []
    for share, crops, parts in ((0.5, 12, 3), (0.25, 16, 4), (0.1, 40, 2)):
        size = crops // parts
        together = [size * part + number for part in range(parts) for number in spread(share, size)]
        assert together == spread(share, crops)
    assert draw(told, replace(tiny, others=OthersConfig(share=1.0)), None)[0].sources == []  # not yet


def test_a_share_that_is_no_whole_number_is_told(tiny):
    third = replace(tiny, others=OthersConfig(share=0.25))
    with pytest.raises(DataError, match=r"others.share 0.25 of 2 crops.* is not a whole number; change it"):
        StepSampler(7, third, step=0, rank=0, world=1)


@pytest.mark.parametrize(("world", "accumulate"), [(1, 2), (2, 1), (2, 2), (4, 1)])
def test_parts_and_processes_draw_what_the_whole_would(told, tiny, world, accumulate):
    config = replace(tiny, others=OthersConfig(share=0.5), loss=replace(tiny.loss, repulsion=0.2))
    eight = Batch.stack([told, Batch(told.conditioning.with_singer(told.conditioning.singer.flip(1)), told.audio)])
    torch.manual_seed(3)
    (whole,) = draw(eight, config, {"melody": 0.1})
    parts: list[Part] = []
    for rank, share in enumerate(eight.parts(world)):
        torch.manual_seed(3)
        several = replace(config, train=replace(config.train, accumulate=accumulate))
        parts += draw(share, several, {"melody": 0.1}, rank, world)
    assert len(parts) == world * accumulate
    assert all(part.places == whole.places for part in parts)
    size = 8 // len(parts)
    assert [size * n + source for n, part in enumerate(parts) for source in part.sources] == whole.sources
    for name in ("singer", "phase", "start"):
        own = torch.cat([getattr(part.asked, name)[:size] for part in parts])
        theirs = torch.cat([getattr(part.asked, name)[size:] for part in parts])
        assert torch.equal(torch.cat([own, theirs]), getattr(whole.asked, name))
        assert torch.equal(torch.cat([getattr(part.again, name) for part in parts]), getattr(whole.again, name))


def test_others_are_heard_at_the_level_of_their_source():
    real = torch.tensor([[1.0], [0.1]]) * torch.ones(2, 2_400)
    some = torch.zeros(3, 1)
    asked = Conditioning(
        f0=some, voiced=some, phase=some, loudness=some, effort=some, content=some, singer=some, start=some
    )
    part = Part(real, asked, [1], None, {DISCRIMINATOR: slice(None)})
    heard, truth = part.heard(torch.cat([real, real[1:]]), DISCRIMINATOR)
    torch.testing.assert_close(truth, torch.ones(2, 2_400))
    torch.testing.assert_close(heard, torch.ones(3, 2_400))


WHOLE = {
    "train.refine_start": 0,
    "train.adversary_start": 0,
    "others.share": 0.5,
    "loss.other_adversarial": 0.3,
    "loss.melody": 0.1,
    "loss.other_melody": 0.1,
    "loss.words": 0.1,
    "loss.other_words": 0.1,
    "discriminator.conditional": True,
    "discriminator.penalty": 1.0,
    "train.adversary_ramp": 3,
}


def test_the_whole_objective_has_every_term_and_trains(told):
    from conftest import TINY

    config = load(None, TINY | WHOLE)
    words = replace(config.perceptual.words, encoder="cepstral", layers=("cepstra",), across=("cepstra",))
    hear = {
        "melody": Listener(_encoder("crepe-tiny"), config.perceptual.melody, config.sample_rate),
        "words": Listener(_encoder("cepstral"), words, config.sample_rate),
    }
    runs = []
    for _ in range(2):
        current = create(config, content=20, singers=2, device=torch.device("cpu"))
        terms = train_step(current, told, config, Accelerator(cpu=True), hear)
        runs.append({name: float(term) for name, term in terms.items()})
    assert runs[0] == runs[1]  # its randomness is the step's
    assert runs[0].keys() == {
        *("spectral", "repulsion", "adversarial", "feature_matching", "melody", "words"),
        *("other_adversarial", "other_melody", "other_words", "discriminator", "total", "gradient_norm", "left_out"),
        "penalty",
    }


def test_without_them_a_step_is_what_it_was(told, tiny):
    """Listeners that nobody weighs and others that nobody wants draw no number and change nothing."""
    early = replace(tiny, train=replace(tiny.train, refine_start=0, adversary_start=0))
    hear = {"melody": Listener(_encoder("crepe-tiny"), tiny.perceptual.melody, tiny.sample_rate)}
    totals = []
    for listeners in ({}, hear):
        current = create(early, content=20, singers=2, device=torch.device("cpu"))
        totals.append(float(train_step(current, told, early, Accelerator(cpu=True), listeners)["total"]))
    assert totals[0] == totals[1]
