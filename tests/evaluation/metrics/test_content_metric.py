"""Content distance: the ratio by hand, and phone posteriors of synthetic phrases."""

import math

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.evaluation.metrics.content import MIN_DISTANCE, RATE, PhoneContent, content_distance

ALTO, BASS, *_ = SINGERS
HOP = RATE // 100


def sing(speaker, seed):
    """Two seconds of a phrase."""
    return Audio(render(speaker, phrase(seed), RATE).samples[: 2 * RATE], RATE)


def ratio(source, output, loud=None):
    """Content distance of features (C, N) where the first ``loud`` frames are loud and the rest silent."""
    frames = source.shape[1]
    audio = np.zeros(frames * HOP, dtype=np.float32)
    audio[: (loud or frames) * HOP : 2] = 0.1
    return content_distance(source, output, Audio(audio, RATE))


class TestRatio:
    """Two phones, one after the other, at distance 2, each shorter than the minimum distance in time."""

    content = np.repeat([[-1.0, 1.0]], MIN_DISTANCE, axis=1)

    @pytest.mark.parametrize("error", [0.5, 2.0])
    def test_is_the_distance_over_that_to_the_other_phone(self, error):
        assert ratio(self.content, self.content + error) == pytest.approx(error / 2)

    def test_needs_other_content(self):
        assert math.isnan(ratio(self.content[:, : MIN_DISTANCE + 1], self.content[:, : MIN_DISTANCE + 1]))

    def test_counts_no_frames_where_the_source_is_silent(self):
        output = self.content.copy()
        output[:, 50:] += 24.0
        assert ratio(self.content, output) == pytest.approx(24 * 10 / 60 / 2)
        assert ratio(self.content, output, loud=45) == 0


@pytest.fixture(scope="module")
def extract():
    return PhoneContent().extract


@pytest.fixture(scope="module")
def distance(extract):
    """Content distance of a changed phrase to itself."""
    source = sing(ALTO, 1)
    content = extract(source)
    return lambda change: content_distance(content, extract(change(source)), source)


class TestPhoneContent:
    def test_level_and_rate_do_not_matter(self, distance):
        assert distance(lambda audio: Audio(audio.samples * np.float32(0.003), RATE)) < 1e-3
        assert distance(lambda audio: resample(audio, 24_000)) < 0.05
