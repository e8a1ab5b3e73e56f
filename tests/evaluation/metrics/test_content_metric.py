"""Content distance: the ratio by hand, and both metrics on synthetic phrases."""

import math

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import DataError
from svc.evaluation.metrics.content import DEFAULT, METRICS, MIN_DISTANCE, RATE, content_distance, load_content_metric

ALTO, BASS, _, TENOR = SINGERS
HOP = RATE // 100


def sing(speaker, seed):
    """Two seconds of a phrase."""
    return Audio(render(speaker, phrase(seed), RATE).samples[: 2 * RATE], RATE)


def late(audio, frames):
    return Audio(np.pad(audio.samples, (frames * HOP, 0))[: len(audio.samples)], RATE)


def shuffled(audio, frames=20):
    blocks = audio.samples[: len(audio.samples) // (frames * HOP) * frames * HOP].reshape(-1, frames * HOP)
    return Audio(np.roll(blocks, len(blocks) // 2, axis=0).ravel(), RATE)


SOURCE = sing(ALTO, 1)


@pytest.fixture(scope="module", params=METRICS)
def metric(request):
    return load_content_metric(request.param)


def ratio(source, output, loud=None):
    """Content distance of features (C, N) where the first ``loud`` frames are loud and the rest silent."""
    frames = source.shape[1]
    audio = np.zeros(frames * HOP, dtype=np.float32)
    audio[: (loud or frames) * HOP : 2] = 0.1
    return content_distance(source, output, Audio(audio, RATE))


class TestRatio:
    """Two phones, one after the other, at distance 2, each shorter than the minimum distance in time."""

    content = np.repeat([[-1.0, 1.0]], MIN_DISTANCE, axis=1)

    @pytest.mark.parametrize("error", [0.5, 1.0, 2.0])
    def test_is_the_distance_over_that_to_the_other_phone(self, error):
        assert ratio(self.content, self.content + error) == pytest.approx(error / 2)

    def test_needs_other_content(self):
        assert math.isnan(ratio(self.content[:, : MIN_DISTANCE + 1], self.content[:, : MIN_DISTANCE + 1]))

    def test_counts_no_frames_where_the_source_is_silent(self):
        output = self.content.copy()
        output[:, 50:] += 24.0
        assert ratio(self.content, output) == pytest.approx(24 * 10 / 60 / 2)
        assert ratio(self.content, output, loud=45) == 0


def distance_of(metric, source, output):
    return content_distance(metric.content(source), metric.content(output), source)


class TestMetrics:
    def test_every_frame(self, metric):
        for length in (0, HOP - 1, HOP, 40 * HOP + 1):
            content = metric.content(Audio(SOURCE.samples[:length], RATE))
            assert content.shape[1] == length // HOP
            assert np.isfinite(content).all()

    def test_timing(self, metric):
        impulse = np.zeros(RATE, dtype=np.float32)
        impulse[50 * HOP + HOP // 2] = 1  # in the middle of frame 50
        content = metric.content(Audio(impulse, RATE))
        change = np.linalg.norm(content - content[:, :1], axis=0)
        assert np.sum(change * np.arange(100)) / np.sum(change) == pytest.approx(50, abs=2)

    @pytest.mark.parametrize("gain", [0.003, 3.0])
    def test_gain_does_not_matter(self, metric, gain):
        louder = Audio(SOURCE.samples * np.float32(gain), RATE)
        assert distance_of(metric, SOURCE, louder) < 1e-3
        assert distance_of(metric, louder, SOURCE) < 1e-3

    def test_grows_with_lateness(self, metric):
        errors = [distance_of(metric, SOURCE, late(SOURCE, frames)) for frames in (0, 1, 3, 10, 20)]
        assert errors == sorted(errors)
        assert errors[1] > 0.05
        assert errors[-1] > 0.8

    @pytest.mark.parametrize("speaker", [BASS, TENOR], ids=lambda speaker: speaker.name)
    def test_speaker_counts_less_than_phones(self, metric, speaker):
        assert distance_of(metric, SOURCE, sing(speaker, 1)) < 0.75 * distance_of(metric, SOURCE, shuffled(SOURCE))

    def test_rate_does_not_matter(self, metric):
        assert distance_of(metric, resample(SOURCE, 24_000), SOURCE) < 0.05


def test_metrics_by_name():
    assert DEFAULT in METRICS
    with pytest.raises(DataError, match="phone-classifier, mfcc"):
        load_content_metric("parrot")
