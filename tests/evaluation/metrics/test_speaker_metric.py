"""Who it is: exact for known embeddings, right for synthetic singers."""

import importlib.util
import math
import sys
from functools import lru_cache

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.singers import SINGERS, phrase, render
from svc.errors import DataError
from svc.evaluation.metrics import speaker as speaker_metric

RATE = 24_000
RESEMBLYZER = pytest.param(
    "resemblyzer", marks=pytest.mark.skipif(not importlib.util.find_spec("resemblyzer"), reason="needs the eval extra")
)


@lru_cache
def sing(singer, seed, rate=RATE):
    return Audio(render(singer, phrase(seed), rate).samples, rate)


@lru_cache
def known(name):
    """A judge who knows all synthetic singers by three recordings."""
    return speaker_metric.judge(name, {singer.name: [sing(singer, seed) for seed in (1, 2, 3)] for singer in SINGERS})


def at(degrees, length=1.0):
    """A recording of which Protractor says this."""
    turn = math.radians(degrees)
    return Audio(np.array([length * math.cos(turn), length * math.sin(turn)], dtype=np.float32), RATE)


def cosine(degrees):
    return pytest.approx(math.cos(math.radians(degrees)), abs=1e-6)


def named(alike):
    return max(alike, key=lambda one: alike[one])


class Protractor(speaker_metric.SpeakerJudge):
    def describe(self, audio):
        return audio.samples.astype(np.float64)


class TestArithmetic:
    judge = Protractor({"Ann": [at(0), at(40), at(50, 9.0)], "Bob": [at(180)]})

    def test_unit_vectors(self):
        assert self.judge.embed(at(30, 5.0)) == pytest.approx([math.sqrt(0.75), 0.5], abs=1e-6)

    def test_a_stranger_recording(self):
        """Every recording counts alike, however long its vector."""
        x, y = sum(np.array([math.cos(turn), math.sin(turn)]) for turn in np.radians([0, 40, 50]))
        centre = math.degrees(math.atan2(y, x))
        assert self.judge.cosines(self.judge.embed(at(100))) == {"Ann": cosine(100 - centre), "Bob": cosine(80)}

    @pytest.mark.parametrize(("own", "rest"), [(0, 45), (40, 25), (50, 20)])
    @pytest.mark.parametrize("gain", [1.0, 0.1])
    def test_an_enrolled_recording_is_left_out(self, own, rest, gain):
        """It is compared with the middle of the two others."""
        found = self.judge.cosines(self.judge.embed(at(own, gain)))
        assert found == {"Ann": cosine(own - rest), "Bob": cosine(180 - own)}

    def test_nothing_is_left_of_a_singer_known_by_that_recording_alone(self):
        found = self.judge.cosines(self.judge.embed(at(180)))
        assert math.isnan(found["Bob"])
        assert found["Ann"] < 0
        assert math.isnan(self.judge.ceiling("Bob"))
        assert math.isnan(self.judge.likeness(self.judge.embed(at(0)), "Bob"))

    def test_a_source_is_left_out_of_what_its_conversion_is_compared_with(self):
        embedding = self.judge.embed(at(100))
        found = self.judge.cosines(embedding, self.judge.embed(at(0)), self.judge.embed(at(180, 2.0)))
        assert found["Ann"] == cosine(100 - 45)
        assert math.isnan(found["Bob"])

    def test_likeness_and_ceiling_are_one_yardstick(self):
        """Ann is known by 0°, 40°, 50°: without each of them by 45°, 25°, 20°."""
        told = self.judge.likeness(self.judge.embed(at(100)), "Ann")
        assert told == pytest.approx(np.mean(np.cos(np.radians([55, 75, 80]))), abs=1e-6)
        assert self.judge.ceiling("Ann") == pytest.approx(np.mean(np.cos(np.radians([45, 15, 30]))), abs=1e-6)

    def test_nothing_said(self):
        assert self.judge.cosines(self.judge.embed(at(0, 0.0))) == {"Ann": 0, "Bob": 0}


class TestCepstral:
    def test_measured_in_the_spread_of_all(self):
        judge = known("cepstral")
        raw = np.stack([judge.describe(sing(singer, seed)) for singer in SINGERS for seed in (1, 2, 3)])
        assert raw.shape == (12, 48)
        moved = (raw - judge.centre) / judge.scale
        assert moved.mean(axis=0) == pytest.approx(np.zeros(48), abs=1e-6)
        assert moved.std(axis=0) == pytest.approx(np.ones(48), abs=1e-6)

    @pytest.mark.parametrize("singer", SINGERS)
    @pytest.mark.parametrize("rate", [16_000, 44_100])
    def test_a_rate_is_nobody(self, singer, rate):
        judge, heard = known("cepstral"), sing(singer, 9, 44_100)
        there = judge.cosines(judge.embed(resample(heard, rate)))
        assert there == pytest.approx(judge.cosines(judge.embed(resample(heard, RATE))), abs=0.05)


@pytest.mark.filterwarnings("ignore")  # of the extras' own
@pytest.mark.parametrize("name", ["cepstral", RESEMBLYZER])
class TestJudges:
    def test_copy_then_take_then_stranger(self, name):
        judge = known(name)
        for singer in SINGERS:
            truth = sing(singer, 9)
            own, take = (judge.embed(audio) for audio in (truth, sing(singer, 10)))
            strangers = [judge.embed(sing(other, 9)) for other in SINGERS if other != singer]
            assert own @ judge.embed(Audio(truth.samples.copy(), RATE)) == pytest.approx(1)
            assert max(own @ stranger for stranger in strangers) < own @ take < 1

    def test_singers_are_named_in_phrases_never_heard(self, name):
        judge = known(name)
        heard = [
            (singer, judge.cosines(judge.embed(sing(singer, seed)))) for singer in SINGERS for seed in range(9, 14)
        ]
        assert np.mean([named(alike) == singer.name for singer, alike in heard]) >= 0.9

    def test_enrolled_recordings_are_compared_with_the_others(self, name):
        judge = known(name)
        heard = [(singer, judge.cosines(row)) for singer, rows in judge.clips.items() for row in rows]
        assert np.mean([named(alike) == singer for singer, alike in heard]) >= 0.7  # two are few
        assert all(alike[singer] < 1 - 1e-4 for singer, alike in heard)

    @pytest.mark.parametrize("gain", [0.1, 1.9])
    def test_level_is_left_out(self, name, gain):
        heard = sing(SINGERS[0], 9)
        one, other = (known(name).embed(Audio(heard.samples * np.float32(scale), RATE)) for scale in (1, gain))
        assert np.linalg.norm(one) == pytest.approx(1)
        assert one @ other == pytest.approx(1, abs=1e-4)


class TestWithout:
    def test_unknown_judge(self):
        with pytest.raises(
            DataError, match=r"--identity ear: no such judge; give one of resemblyzer, ecapa, cepstral$"
        ):
            speaker_metric.judge("ear", {"Ann": [at(0)]})

    @pytest.mark.parametrize(
        ("name", "module"), [("resemblyzer", "resemblyzer"), ("ecapa", "speechbrain.lobes.models.ECAPA_TDNN")]
    )
    def test_the_library(self, name, module, monkeypatch):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(DataError, match=rf"{module} is not installed; run `pip install"):
            speaker_metric.judge(name, {"Ann": [at(0)]})


def test_what_another_judge_made_of_recordings_is_taken_over(monkeypatch):
    """The same cosines, and no recording of theirs is described again."""
    first, enrolment = known("cepstral"), {singer.name: [sing(singer, 1)] for singer in SINGERS}
    heard = first.describe(sing(SINGERS[0], 9))
    monkeypatch.setattr(speaker_metric.CepstralJudge, "describe", lambda *_: pytest.fail("described again"))
    second = speaker_metric.judge("cepstral", enrolment, first.described)
    assert second.cosines(second._unit(heard)) == first.cosines(first._unit(heard))
