"""Words: the ratio by hand, and both judges on phrases of which it is known who sings what, and when."""

import math
import sys

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.singers import SINGERS, phrase, render
from svc.errors import DataError
from svc.evaluation.metrics.content import APART, DEFAULT, JUDGES, RATE, judge_by_name, word_error

ALTO, BASS, _, TENOR = SINGERS
HOP = RATE // 100


def sung(singer, seed):
    """Two seconds of a phrase."""
    return Audio(render(singer, phrase(seed), RATE).samples[: 2 * RATE], RATE)


def late(audio, frames):
    return Audio(np.pad(audio.samples, (frames * HOP, 0))[: len(audio.samples)], RATE)


def shuffled(audio, frames=20):
    blocks = audio.samples[: len(audio.samples) // (frames * HOP) * frames * HOP].reshape(-1, frames * HOP)
    return Audio(np.roll(blocks, len(blocks) // 2, axis=0).ravel(), RATE)


SOURCE = sung(ALTO, 1)


@pytest.fixture(scope="module", params=JUDGES)
def judge(request):
    if request.param == "sphinx":
        pytest.importorskip("pocketsphinx")
    return judge_by_name(request.param)


def ratio(source, output, sung=None):
    """Word error between features (C, N) where the first ``sung`` frames are loud and the rest are silent."""
    frames = source.shape[1]
    audio = np.zeros(frames * HOP, dtype=np.float32)
    audio[: (sung or frames) * HOP : 2] = 0.1
    return word_error(source, output, Audio(audio, RATE))


class TestRatio:
    """Two words, one after the other, 2 apart in content, each shorter than what counts as apart."""

    words = np.repeat([[-1.0, 1.0]], APART, axis=1)

    def test_of_a_copy_is_nothing(self):
        assert ratio(self.words, self.words) == 0

    @pytest.mark.parametrize("error", [0.5, 1.0, 2.0])
    def test_is_the_distance_over_that_to_the_other_word(self, error):
        assert ratio(self.words, self.words + error) == pytest.approx(error / 2)

    def test_of_exchanged_words_is_one(self):
        assert ratio(self.words, -self.words) == pytest.approx(1)

    def test_of_what_has_nothing_to_do_with_the_source(self):
        source, output = np.random.default_rng(0).normal(size=(2, 12, 2500))
        assert ratio(source, output) == pytest.approx(1, abs=0.01)

    def test_needs_other_words(self):
        assert math.isnan(ratio(self.words[:, : APART + 1], self.words[:, : APART + 1]))

    def test_counts_no_frames_where_the_source_is_silent(self):
        output = self.words.copy()
        output[:, 50:] += 24.0
        assert ratio(self.words, output) == pytest.approx(24 * 10 / 60 / 2)
        assert ratio(self.words, output, sung=45) == 0


def error_of(judge, source, output):
    return word_error(judge.content(source), judge.content(output), source)


class TestJudges:
    def test_hear_every_frame(self, judge):
        for length in (0, HOP - 1, HOP, 40 * HOP + 1):
            content = judge.content(Audio(SOURCE.samples[:length], RATE))
            assert content.shape[1] == length // HOP
            assert np.isfinite(content).all()

    def test_hear_nothing_but_a_copy_in_a_copy(self, judge):
        assert error_of(judge, SOURCE, SOURCE) == 0

    def test_hear_when(self, judge):
        impulse = np.zeros(RATE, dtype=np.float32)
        impulse[50 * HOP + HOP // 2] = 1  # in the middle of frame 50
        content = judge.content(Audio(impulse, RATE))
        change = np.linalg.norm(content - content[:, :1], axis=0)
        assert np.sum(change * np.arange(100)) / np.sum(change) == pytest.approx(50, abs=2)

    @pytest.mark.parametrize("gain", [0.003, 3.0])
    def test_hear_no_gain(self, judge, gain):
        louder = Audio(SOURCE.samples * np.float32(gain), RATE)
        assert error_of(judge, SOURCE, louder) < 1e-3
        assert error_of(judge, louder, SOURCE) < 1e-3

    def test_hear_what_is_late(self, judge):
        errors = [error_of(judge, SOURCE, late(SOURCE, frames)) for frames in (0, 1, 3, 10, 20)]
        assert errors == sorted(errors)
        assert errors[1] > 0.05
        assert errors[-1] > 0.8

    def test_hear_what_is_unrelated(self, judge):
        assert error_of(judge, SOURCE, sung(ALTO, 51)) == pytest.approx(1, abs=0.2)

    @pytest.mark.parametrize("singer", [BASS, TENOR], ids=lambda singer: singer.name)
    def test_hear_a_singer_less_than_words(self, judge, singer):
        assert error_of(judge, SOURCE, sung(singer, 1)) < 0.75 * error_of(judge, SOURCE, shuffled(SOURCE))

    def test_hear_that_nothing_is_sung(self, judge):
        silence = Audio(np.zeros_like(SOURCE.samples), RATE)
        assert error_of(judge, SOURCE, silence) > 0.6
        assert math.isnan(error_of(judge, silence, SOURCE))

    def test_hear_no_rate(self, judge):
        assert error_of(judge, resample(SOURCE, 24_000), SOURCE) < 0.05


def test_judges_by_name():
    assert DEFAULT in JUDGES
    with pytest.raises(DataError, match="sphinx, mfcc"):
        judge_by_name("parrot")


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(DataError, match="pocketsphinx is not installed"):
        judge_by_name("sphinx")
