"""Crops sung by somebody else: who is drawn, what is asked of them, and that nothing changes without them."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

from svc.conditioning import Conditioning
from svc.config import OthersConfig, load
from svc.data import dataset
from svc.data.batch import Batch
from svc.losses.perceptual import Listener, _encoder
from svc.training.draw import DISCRIMINATOR, Part, sung_by_others
from svc.training.state import create
from svc.training.step import train_step


@pytest.fixture
def told(tiny, prepared) -> Batch:
    items = dataset.CropDataset(prepared, tiny)
    return Batch.stack([items[0, number] for number in range(4)])


def of(singers: int, batch: int, conditioning: Conditioning) -> Conditioning:
    """A batch of the first crop, by one singer after the other."""
    one = Conditioning.stack([conditioning.items(0, 1)] * batch)
    return one.with_singer(torch.eye(singers)[torch.arange(batch) % singers])


def test_somebody_else_sings_the_same(told):
    torch.manual_seed(0)
    asked = of(5, 200, told.conditioning)
    others = sung_by_others(asked, OthersConfig(share=0.5, mixed=0.0))
    assert len(others.singer) == 100
    for name in ("f0", "voiced", "loudness", "content"):
        assert torch.equal(getattr(others, name), getattr(asked, name)[:100]), name
    assert torch.equal(others.singer.sort(dim=-1).values[:, -1], torch.ones(100))
    own, drawn = asked.singer[:100].argmax(-1), others.singer.argmax(-1)
    assert not (own == drawn).any()
    pairs = {(int(a), int(b)) for a, b in zip(own, drawn, strict=True)}
    assert len(pairs) == 20  # everybody is sung by everybody else


def test_mixes_are_convex_and_of_two_at_most(told):
    torch.manual_seed(0)
    others = sung_by_others(of(5, 300, told.conditioning), OthersConfig(share=1.0, mixed=0.5))
    assert (others.singer >= 0).all()
    torch.testing.assert_close(others.singer.sum(-1), torch.ones(300))
    assert int((others.singer > 0).sum(-1).max()) == 2
    alone = (others.singer.max(-1).values == 1).float().mean()
    assert 0.4 < float(alone) < 0.6
    own = torch.eye(5)[torch.arange(300) % 5]
    assert float((own * others.singer).sum()) == 0  # nobody is mixed with the crop's own singer
    largest = others.singer.max(-1).values
    assert 0.6 < float(largest[largest < 1].mean()) < 0.9  # 3/4 for a uniform law


def test_the_law_of_the_mix(told):
    """With a small alpha one of the two prevails, with a large one they are alike."""
    for alpha, low, high in ((0.05, 0.9, 1.0), (50.0, 0.5, 0.6)):
        torch.manual_seed(0)
        others = sung_by_others(of(5, 300, told.conditioning), OthersConfig(share=1.0, mixed=1.0, alpha=alpha))
        largest = others.singer.max(-1).values
        assert low < float(largest[largest < 1].mean()) < high


def test_of_two_singers_the_mix_is_with_the_own(told):
    torch.manual_seed(0)
    others = sung_by_others(of(2, 100, told.conditioning), OthersConfig(share=1.0, mixed=1.0))
    assert ((others.singer > 0).sum(-1) == 2).all()


def test_nobody_else_where_there_is_nobody_or_none_is_wanted(told):
    assert sung_by_others(of(1, 4, told.conditioning), OthersConfig(share=1.0)) is None
    assert sung_by_others(told.conditioning, OthersConfig()) is None
    assert len(sung_by_others(told.conditioning, OthersConfig(share=0.01)).singer) == 1


def test_others_are_heard_at_the_level_of_their_source():
    real = torch.tensor([[1.0], [0.1]]) * torch.ones(2, 2_400)
    some = torch.zeros(3, 1)
    asked = Conditioning(f0=some, voiced=some, phase=some, loudness=some, content=some, singer=some, start=some)
    part = Part(real, asked, None, {DISCRIMINATOR: slice(None)})
    heard, truth = part.heard(torch.cat([real, real[:1]]), DISCRIMINATOR)
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
