"""The real recordings beside the repository, where they are."""

from pathlib import Path

import pytest
from corpus_trees import count

from svc.data import corpora
from svc.data.corpora.split import side
from svc.errors import DataError

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings in {DATA}")
NUMBERS = {  # speakers, groups, kinds
    "ravdess": (14, 28, {"song": 616, "speech": 264}),
    "kumi": (1, 94, {"song": 94}),
    "scottpoid": (1, 148, {"song": 148}),
    "makam": (6, 8, {"song": 85}),
    "librispeech": (261, 351, {"speech": 351}),
    "vctk": (4, 11, {"speech": 40}),
    "ljspeech": (1, 32, {"speech": 32}),
}
VOICEBANKS = {"kumi", "scottpoid"}  # folders of audio alone


@pytest.mark.parametrize("name", NUMBERS)
def test_counts(name):
    recordings = corpora.find(DATA / name, "utau" if name in VOICEBANKS else None)
    assert count(recordings) == NUMBERS[name]
    assert len(recordings) == sum(1 for _ in (DATA / name).rglob("*.flac"))


def test_songs_of_ravdess_are_those_of_twelve_melodies_by_all_actors():
    songs = [recording for recording in corpora.find(DATA / "ravdess") if recording.kind == "song"]
    speakers = {group: {r.speaker for r in songs if r.group == group} for group in {r.group for r in songs}}
    assert len(speakers) == 12
    assert {len(names) for names in speakers.values()} == {14}


def test_all_corpora_share_no_group_and_no_speaker():
    corpora_at_hand = [corpora.find(DATA / name, "utau" if name in VOICEBANKS else None) for name in NUMBERS]
    recordings = [recording for corpus in corpora_at_hand for recording in corpus]
    speakers, groups, _ = count(recordings)
    assert speakers == sum(numbers[0] for numbers in NUMBERS.values())
    assert groups == sum(numbers[1] for numbers in NUMBERS.values())
    assert {side(recording.group, 0.1, 0.1) for recording in recordings} == {"train", "valid", "test"}


def test_the_folder_of_all_of_them_is_refused():
    with pytest.raises(DataError, match="holds several corpora"):
        corpora.find(DATA)
