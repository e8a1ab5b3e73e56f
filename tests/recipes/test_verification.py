"""Equal error rate and nearest-speaker accuracy: values by hand, and intervals over speakers."""

import numpy as np
import pytest
from verification import equal_error_rate, verify


def test_equal_error_rate_by_hand():
    """Of four own pairs one scores below one of four others: a threshold between rejects and accepts a quarter."""
    scores = np.array([0.9, 0.8, 0.7, 0.3, 0.4, 0.2, 0.1, 0.0])
    same = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    assert equal_error_rate(scores, same) == 0.25
    assert equal_error_rate(-scores, same) == 0.75
    assert equal_error_rate(scores, same, np.array([1, 1, 1, 0, 1, 1, 1, 1])) == 0


def test_a_clip_is_not_compared_with_itself():
    """Every second clip of a speaker points elsewhere, so that only its own vector would identify it."""
    unit = np.eye(4)
    own = {"a": unit[[0, 1]], "b": unit[[2, 3]]}
    assert verify(own).accuracy.mean == pytest.approx(0.5)  # all cosines are 0, the first of two wins
    assert verify(own, own).accuracy.mean == 1


def test_speakers_apart_and_random_ones():
    draw = np.random.default_rng(0)

    def speakers(spread: float) -> dict[str, np.ndarray]:
        rows = {str(n): draw.normal(size=16) + spread * draw.normal(size=(6, 16)) for n in range(8)}
        return {name: values / np.linalg.norm(values, axis=1, keepdims=True) for name, values in rows.items()}

    near = verify(speakers(0.1))
    assert (near.eer.mean, near.eer.high, near.accuracy.mean, near.eer.files) == (0, 0, 1, 8)
    far = verify(speakers(100.0))
    assert far.eer.low < far.eer.mean == pytest.approx(0.5, abs=0.1)
    assert far.accuracy.low <= far.accuracy.mean <= far.accuracy.high < 0.5
