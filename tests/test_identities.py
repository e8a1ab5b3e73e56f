"""Who sings, and who is in a voice: numbers that never move, and singers who stay the same to the bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from svc import identities
from svc.convert import Converter
from svc.data.manifest import Singer
from svc.errors import DataError, WeightsError
from svc.voice import Voice

CAT = Singer("Cat", 30.0, 300.0, 200.0, 500.0, -20.0)


def row(embedding):
    """What belongs to a singer with an accent."""
    return {identities.EMBEDDING: torch.as_tensor(embedding), identities.ACCENT: 0.1 * torch.ones(64)}


@pytest.fixture
def three(voice):
    """Ann, Bob and Cat."""
    return identities.added(voice, CAT, row([1.0, 2.0, 3.0, 4.0]))


def who(voice):
    return [(singer.number, singer.name) for singer in voice.singers]


def test_one_singer_by_name_or_number(voice):
    for text in ("Bob Ö.", "1", "bob ö."):
        found = identities.cast(voice, text)
        assert (found.label, found.weights.tolist(), found.singer) == ("Bob Ö.", [[0], [1]], voice.singers[1])


def test_a_mix_is_in_proportion(voice):
    found = identities.cast(voice, "Ann:3, 1:1")
    assert found.weights.tolist() == [[0.75], [0.25]]
    assert found.label == "Ann0.75+Bob Ö.0.25"
    assert found.singer.median_f0 == pytest.approx(220 * 2**-0.25)  # an octave apart, a quarter of the way
    assert identities.cast(voice, "Ann,Bob Ö.").weights.tolist() == [[0.5], [0.5]]
    assert identities.cast(voice, "Ann:1,Bob Ö.:0").singer == voice.singers[0]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=2).filter(lambda shares: sum(shares) > 1e-3))
def test_shares_of_a_mix_sum_to_one(voice, shares):
    weights = identities.cast(voice, f"0:{shares[0]},1:{shares[1]}").weights
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert weights.min() >= 0


@pytest.mark.parametrize(
    ("text", "error", "way_out"),
    [
        ("Zoe", WeightsError, "it knows 0 Ann, 1 Bob"),
        ("Ann:1,Zoe:1", WeightsError, "it knows 0 Ann, 1 Bob"),
        ("Ann:x", DataError, "write a mix as"),
        ("Ann:-1,1:2", DataError, "0 or more"),
        ("Ann:0,1:0", DataError, "not all of them 0"),
        ("Ann:inf,1:1", DataError, "0 or more"),
        ("Ann:nan", DataError, "0 or more"),
        ("none.csv", DataError, "cannot be read"),
    ],
)
def test_who_cannot_sing_is_told(voice, text, error, way_out):
    with pytest.raises(error, match=way_out):
        identities.cast(voice, text)


def test_a_mix_that_changes(voice, tmp_path):
    table = tmp_path / "fade.csv"
    table.write_text("seconds,Bob Ö.,Ann\n0.005,0,2\n0.505,2,2\n1.005,4,0\n")
    found = identities.cast(voice, str(table))
    weights = found.over(200).numpy()
    assert weights.shape == (2, 200)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(weights[1, [0, 25, 50, 75, 100, 199]], [0, 0.25, 0.5, 0.75, 1, 1], atol=1e-6)
    assert found.label == "fade"
    assert found.over(10).shape == (2, 10)


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("", "begin with a line"),
        ("seconds,Ann\n", "every line needs"),
        ("seconds,Ann\n0,1,2\n", "every line needs"),
        ("seconds,Ann\n0,x\n", "begin with a line"),
        ("seconds,Ann\n0,nan\n", "every line needs"),
        ("seconds,Ann\n1,1\n0,1\n", "times must rise"),
        ("seconds,Ann\n0,-1\n", "0 or more"),
        ("seconds,Ann\n1e9,1\n", "times must rise"),
        ("seconds,Ann,1\n0,1,0\n1,0,0\n", "nobody"),
    ],
)
def test_a_table_that_is_none_is_told(voice, tmp_path, text, way_out):
    table = tmp_path / "mix.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=way_out) as caught:
        identities.cast(voice, str(table))
    assert str(table) in str(caught.value)


def test_a_mix_that_changes_is_sung_as_its_ends_are(voice, tone, tmp_path):
    """Ann to begin with, Bob at the end; in between neither."""
    table = tmp_path / "fade.csv"
    table.write_text("seconds,Ann,Bob Ö.\n0.5,1,0\n0.7,0,1\n")
    converter = Converter(voice)
    mixed, ann, bob = (converter.convert(tone, who, transpose=0)[0].samples for who in (str(table), "Ann", "1"))
    edge = (voice.generator.margin + 1) * 441
    assert np.abs(ann - bob).max() > 1e-3
    np.testing.assert_allclose(mixed[: 22_050 - edge], ann[: 22_050 - edge], atol=1e-5)
    np.testing.assert_allclose(mixed[30_870 + edge :], bob[30_870 + edge :], atol=1e-5)
    assert np.abs(mixed - ann).max() > 1e-3


def test_old_singers_sound_the_same_to_the_bit(voice, three, tone):
    for name in ("Ann", "Bob Ö."):
        before, after = (Converter(v).convert(tone, name)[0].samples for v in (voice, three))
        assert np.array_equal(before, after)
    left = identities.removed(three, "Ann")
    before, after = (Converter(v).convert(tone, "Bob Ö.")[0].samples for v in (voice, left))
    assert np.array_equal(before, after)


def test_numbers_never_move(three):
    assert who(three) == [(0, "Ann"), (1, "Bob Ö."), (2, "Cat")]
    assert three.singers[2].kind == "fitted"
    left = identities.removed(identities.removed(three, "Ann"), "2")
    assert who(left) == [(1, "Bob Ö.")]
    assert left.row("1") == 0
    with pytest.raises(WeightsError, match="no singer '2'"):
        left.row("2")
    again = identities.added(left, replace(CAT, name="Dan"), row(torch.zeros(4)))
    assert who(again) == [(1, "Bob Ö."), (3, "Dan")]  # 2 was Cat's
    with pytest.raises(WeightsError, match="only singer"):
        identities.removed(left, "1")


def test_numbers_and_kinds_survive_the_way_out_and_back(three, tmp_path):
    left = identities.removed(three, "0")
    left.save(tmp_path / "v.safetensors")
    again = Voice.load(tmp_path / "v.safetensors")
    assert (again.singers, again.given) == (left.singers, 3)
    assert torch.equal(again.generator.conditioner.embedding, left.generator.conditioner.embedding)


def test_another_name(three):
    named = identities.renamed(three, "2", "Chloë")
    assert who(named) == [(0, "Ann"), (1, "Bob Ö."), (2, "Chloë")]
    assert who(identities.renamed(three, "Ann", "ann")) == [(0, "ann"), (1, "Bob Ö."), (2, "Cat")]
    for taken in ("Ann", "BOB Ö."):
        with pytest.raises(DataError, match="in this voice already"):
            identities.renamed(three, "Cat", taken)
    with pytest.raises(DataError, match="no singer's name"):
        identities.renamed(three, "Cat", "../up")


def test_voices_of_one_base_are_merged(voice, three):
    dan = identities.added(voice, replace(CAT, name="Dan"), row(torch.ones(4)))
    both, told = identities.merged(three, dan)
    assert who(both) == [(0, "Ann"), (1, "Bob Ö."), (2, "Cat"), (3, "Dan")]
    assert told == ["Ann is there already, as Ann", "Bob Ö. is there already, as Bob Ö.", "Dan is number 3 now"]
    assert torch.equal(both.generator.conditioner.embedding[3], torch.ones(4))
    cats = identities.added(voice, CAT, row(torch.ones(4)))
    with pytest.raises(DataError, match="Cat: is in this voice already"):
        identities.merged(three, cats)


def test_voices_of_another_base_are_not(voice, three):
    other = identities.added(voice, CAT, row(torch.ones(4)))
    with torch.no_grad():
        other.generator.conditioner.entry.weight[0, 0] += 1
    with pytest.raises(WeightsError, match="do not sing by the same weights"):
        identities.merged(three, other)


def test_nobody_is_added_twice(three):
    with pytest.raises(DataError, match="in this voice already"):
        identities.added(three, replace(CAT, name="ann"), row(torch.zeros(4)))
