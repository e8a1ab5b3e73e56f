from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.data.corpora.split import check_shares, ensure_sides, sides
from svc.data.manifest import Clip
from svc.errors import DataError

names = st.text(max_size=9)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: sum(pair) < 1)
MANY = [f"corpus/{number}" for number in range(20_000)]


@pytest.mark.parametrize(("valid", "test"), [(0.1, 0.1), (0.0, 0.3)])
def test_shares_of_many_groups(valid, test):
    count = Counter(sides(MANY, valid, test).values())
    assert [count[name] / len(MANY) for name in ("valid", "test")] == pytest.approx([valid, test], abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.sets(names, max_size=9), shares, shares)
def test_more_groups_and_larger_shares_move_none_but_from_training(more, one, other):
    small = [min(pair) for pair in zip(one, other, strict=True)]
    large = [max(pair) for pair in zip(one, other, strict=True)]
    before = sides(MANY[:40], *small)
    assert before.items() <= sides({*MANY[:40], *more}, *small).items()
    if sum(large) < 1:
        after = sides(MANY[:40], *large)
        assert all(after[group] == own for group, own in before.items() if own != "train")


def test_sides_that_stay_the_same_for_good():
    groups = ("ravdess/03-01", "ravdess/speech/03-01", "makam/bu_aksam", "m4singer/美错", "folder/\udce9")
    split = sides([*groups, *MANY[:40]], 0.2, 0.2)
    assert [split[group] for group in groups] == ["train", "train", "train", "test", "train"]


@pytest.mark.parametrize("count", [4, 39])
def test_a_small_corpus_has_every_side_and_more_groups_move_none(count):
    for corpus in range(50):
        groups = [f"{corpus}/{number}" for number in range(count)]
        split = sides(groups, 0.1, 0.1)
        assert set(split.values()) == {"train", "valid", "test"}
        assert sides([*groups, *groups[:2]], 0.1, 0.1) == split
        assert set(sides(groups, 0.1, 0.0).values()) == {"train", "valid"}
        hashed = sides([*groups, *MANY[:40]], 0.1, 0.1)
        assert sum(hashed[group] != split[group] for group in groups) <= 2


def test_few_groups_are_split_by_the_hash_alone():
    assert set(sides(["a", "b", "c"], 0.01, 0.01).values()) == {"train"}


def test_the_authors_split_goes_first():
    published = {f"{n}": "test" if n < 10 else "train" for n in range(100)}
    split = sides(published, 0.1, 0.1, published)
    assert {group for group, own in split.items() if own == "test"} == {f"{n}" for n in range(10)}
    assert 2 < sum(own == "valid" for own in split.values()) < 20
    complete = published | {"99": "valid"}
    assert sides(complete, 0.1, 0.1, complete) == complete


def ensured(*clips: tuple[str, str, str], valid: float = 0.1) -> list[str]:
    """Sides afterwards of clips by speaker, group and side."""
    created = [
        Clip(f"{n}.wav", speaker, f"{n}", 400, 300, own, group=group) for n, (speaker, group, own) in enumerate(clips)
    ]
    return [clip.split for clip in ensure_sides(created, valid)]


def test_every_speaker_has_something_to_train_on_and_groups_stay_whole():
    assert ensured(("Ann", "a", "valid"), ("Ann", "b", "valid"), ("Ann", "a", "valid")) == ["train", "valid", "train"]
    both = ("Ann", "", "valid"), ("Bob", "", "train"), ("Bob", "", "train")
    assert ensured(*both) == ["train", "valid", "train"]
    assert ensured(*both, valid=0.0) == ["train", "train", "train"]
    shared = ("Ann", "a", "train"), ("Bob", "a", "train"), ("Bob", "b", "train")
    assert ensured(*shared) == ["train", "train", "valid"]  # a is all Ann has


def test_a_test_group_is_no_spare_for_validation():
    clips = [("Ann", "", own) for own in ("test", "train", "train")]
    assert ensured(*clips) == ["test", "valid", "train"]
    assert ensured(*clips[:2]) == ["test", "train"]


@pytest.mark.parametrize("pair", [(-0.1, 0.1), (0.5, 0.5), (float("nan"), 0.1)])
def test_shares_that_are_none(pair):
    with pytest.raises(DataError, match=r"^split: valid .* choose two"):
        check_shares(*pair)
