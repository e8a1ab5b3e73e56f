"""Fingerprints, licences and credits of a voice's recordings, from the manifest."""

import json

import numpy as np
import pytest

from svc.data.manifest import Clip
from svc.data.provenance import training_data
from svc.errors import DataError
from svc.features.training_data import HASH_BYTES, TrainingData, audio_hash, check_licence, song_hash

NC = "CC BY-NC-SA 4.0"


def clip(name, split="train", group="", licence="", speaker="Ann", frames=6000):
    audio = audio_hash(np.full(10, ord(name[0]), np.int16)).hex()
    return Clip(f"{speaker}/{name}.wav", speaker, name, frames, frames, split, group, licence=licence, audio_hash=audio)


CLIPS = [
    clip("a", group="ravdess/05-01", licence=NC),
    clip("b", "valid", "ravdess/05-02", NC),
    clip("c", "test", "ravdess/05-03", NC),
    clip("d#t=0,14", speaker="Bob", frames=3000),
]


def test_only_the_training_side_is_recorded():
    data = training_data(CLIPS)
    songs = {("Ann", "ravdess/05-01"), ("Bob", "folder/d")}
    audio = {audio_hash(np.full(10, ord(name), np.int16)) for name in "ad"}
    assert data.hashes == {song_hash(*song) for song in songs} | audio
    assert data.licences == {NC: 1.0, "not known": 0.5}
    assert data.credits == ("RAVDESS (Livingstone and Russo 2018)",)
    assert data.card["licences of the recordings"] == f"{NC} (1.0 min), not known (0.5 min)"


def test_songs_belong_to_a_speaker_and_composed_names_are_equal():
    assert song_hash("Ann", "x") != song_hash("Bob", "x")
    assert song_hash("Z\u006f\u0308e", "x") == song_hash("z\u00f6e", "X")


def test_to_and_from_json_is_small():
    hashes = frozenset(n.to_bytes(HASH_BYTES, "big") for n in range(30_000))
    data = TrainingData(hashes, {NC: 1.5}, ("RAVDESS",))
    text = json.dumps(data.to_tree())
    assert len(text) < 250_000
    assert TrainingData.from_tree(json.loads(text)) == data
    with pytest.raises(ValueError, match="length"):
        TrainingData.from_tree(data.to_tree() | {"hashes": "AAAA"})


def test_two_together():
    a, b = (
        TrainingData(frozenset({b"12345"}), {NC: 1.0}, ("x",)),
        TrainingData(frozenset(), {NC: 2.0, "MIT": 1.0}, ("x", "y")),
    )
    assert a | b == TrainingData(frozenset({b"12345"}), {NC: 3.0, "MIT": 1.0}, ("x", "y"))


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0", "CC BY 4.0", "CC-BY-SA-4.0", "GPL", "public domain"])
def test_a_free_licence_does_not_fit_non_commercial_recordings(licence):
    with pytest.raises(DataError, match=f"1.0 minutes of the recordings are {NC}"):
        check_licence(licence, training_data(CLIPS))
    check_licence(licence, training_data(CLIPS[3:]))


@pytest.mark.parametrize("licence", [NC, "not stated", "non-commercial use only", "CC-BY-NC-4.0"])
def test_other_licences_do(licence):
    check_licence(licence, training_data(CLIPS))
