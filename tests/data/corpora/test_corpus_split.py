from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.data.corpora.split import side
from svc.errors import DataError

names = st.text(max_size=9)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: sum(pair) < 1)


@pytest.mark.parametrize(("valid", "test"), [(0.1, 0.1), (0.0, 0.3)])
def test_shares_of_many_groups(valid, test):
    sides = Counter(side(f"corpus/{number}", valid, test) for number in range(20_000))
    assert [sides[name] / 20_000 for name in ("valid", "test")] == pytest.approx([valid, test], abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.sets(names, max_size=9), st.sets(names, max_size=9), shares)
def test_adding_groups_moves_none(first, more, pair):
    before = {group: side(group, *pair) for group in first}
    after = {group: side(group, *pair) for group in first | more}
    assert before.items() <= after.items()


@settings(max_examples=50, deadline=None)
@given(names, shares, shares)
def test_larger_shares_take_from_train_alone(group, one, other):
    small, large = (
        [min(pair) for pair in zip(one, other, strict=True)],
        [max(pair) for pair in zip(one, other, strict=True)],
    )
    if sum(large) < 1 and side(group, *small) != "train":
        assert side(group, *large) == side(group, *small)


def test_sides_that_stay_the_same_for_good():
    groups = ("ravdess/03-01", "ravdess/speech/03-01", "makam/bu_aksam", "m4singer/美错", "folder/\udce9")
    assert [side(group, 0.2, 0.2) for group in groups] == ["train", "train", "train", "test", "train"]


@pytest.mark.parametrize("pair", [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (float("nan"), 0.1), (0.1, float("inf"))])
def test_shares_that_are_none(pair):
    with pytest.raises(DataError, match=r"^split: valid .* choose two"):
        side("a/b", *pair)
