"""Who is in a voice: numbers that never move, and singers who stay the same to the bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from svc.errors import DataError, WeightsError
from svc.features.speaker import Speaker
from svc.inference import speakers
from svc.inference.converter import Converter
from svc.inference.voice import VoiceFile
from svc.models.weight_names import EMBEDDING, SPEAKER_FILM_OFFSET

CAT = Speaker("Cat", 30.0, 300.0, 200.0, 500.0, -20.0)


def row(embedding):
    """What belongs to a singer with an accent."""
    return {EMBEDDING: np.asarray(embedding, np.float32), SPEAKER_FILM_OFFSET: np.full(64, 0.1, np.float32)}


@pytest.fixture
def three(voice):
    """Ann, Bob and Cat."""
    return speakers.with_speaker(voice, CAT, row([1.0, 2.0, 3.0, 4.0]))


def who(voice):
    return [(singer.number, singer.name) for singer in voice.speakers]


def test_a_number_is_not_a_name(three):
    for change in (
        lambda: speakers.with_renamed(three, "Ann", "2"),
        lambda: speakers.with_speaker(three, replace(CAT, name="7"), row(np.zeros(4))),
    ):
        with pytest.raises(DataError, match="is a number, and every speaker has a number already"):
            change()


def test_other_speakers_stay_the_same_to_the_bit(voice, three, tone):
    for name in ("Ann", "Bob Ö."):
        before, after = (Converter(v).convert(tone, name)[0].samples for v in (voice, three))
        assert np.array_equal(before, after)
    left = speakers.without(three, "Ann")  # without guidance, whose average is that of the speakers left
    before, after = (Converter(v, guidance=0.0).convert(tone, "Bob Ö.")[0].samples for v in (voice, left))
    assert np.array_equal(before, after)


def test_numbers_never_move(three):
    assert who(three) == [(0, "Ann"), (1, "Bob Ö."), (2, "Cat")]
    assert three.speakers[2].kind == "adapted"
    left = speakers.without(speakers.without(three, "Ann"), "2")
    assert who(left) == [(1, "Bob Ö.")]
    assert left.speaker_index("1") == 0
    with pytest.raises(WeightsError, match="no speaker '2'"):
        left.speaker_index("2")
    again = speakers.with_speaker(left, replace(CAT, name="Dan"), row(np.zeros(4)))
    assert who(again) == [(1, "Bob Ö."), (3, "Dan")]  # 2 was Cat's
    with pytest.raises(WeightsError, match="only speaker"):
        speakers.without(left, "1")


def test_numbers_and_kinds_survive_the_way_out_and_back(three, tmp_path):
    left = speakers.without(three, "0")
    left.save(tmp_path / "v.safetensors")
    again = VoiceFile.load(tmp_path / "v.safetensors")
    assert (again.speakers, again.next_speaker_id) == (left.speakers, 3)
    assert torch.equal(again.generator.conditioner.embedding, left.generator.conditioner.embedding)


def test_another_name(three):
    named = speakers.with_renamed(three, "2", "Chloë")
    assert who(named) == [(0, "Ann"), (1, "Bob Ö."), (2, "Chloë")]
    assert who(speakers.with_renamed(three, "Ann", "ann")) == [(0, "ann"), (1, "Bob Ö."), (2, "Cat")]
    for taken in ("Ann", "BOB Ö."):
        with pytest.raises(DataError, match="in this voice already"):
            speakers.with_renamed(three, "Cat", taken)
    with pytest.raises(DataError, match="no speaker name"):
        speakers.with_renamed(three, "Cat", "../up")


def test_the_card_speaks_of_those_who_were_trained_alone(voice, three):
    """``three`` has a singer who was fitted."""
    assert "added later" not in voice.card
    name = three.speakers[-1].name
    assert three.card == voice.card | {"added later": f"{name}; this card does not describe them, ask them"}
    renamed = speakers.with_renamed(three, name, "Zoë")
    assert renamed.card["added later"].startswith("Zoë; ")
    assert speakers.without(renamed, "Zoë").card == voice.card


def test_voices_of_one_base_are_merged(voice, three):
    dan = speakers.with_speaker(voice, replace(CAT, name="Dan"), row(np.ones(4)))
    both, output = speakers.merge(three, dan)
    assert who(both) == [(0, "Ann"), (1, "Bob Ö."), (2, "Cat"), (3, "Dan")]
    assert output == ["Ann is already there, as Ann", "Bob Ö. is already there, as Bob Ö.", "Dan is now number 3"]
    assert torch.equal(both.generator.conditioner.embedding[3], torch.ones(4))
    cats = speakers.with_speaker(voice, CAT, row(np.ones(4)))
    with pytest.raises(DataError, match="Cat: is in this voice already"):
        speakers.merge(three, cats)


def test_voices_of_another_base_are_not(voice, three):
    other = speakers.with_speaker(voice, CAT, row(np.ones(4)))
    other = replace(other, weights=other.weights | {"conditioner.input.bias": np.ones(16, np.float32)})
    with pytest.raises(WeightsError, match="have different generator weights"):
        speakers.merge(three, other)
