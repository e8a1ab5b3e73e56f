"""Speaker similarity: exact for given embeddings, right for synthetic singers."""

import importlib.util
import math
import sys
from functools import lru_cache

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
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
def enrolled(name):
    """All synthetic singers, enrolled with three recordings each."""
    enrolment = {singer.name: [sing(singer, seed) for seed in (1, 2, 3)] for singer in SINGERS}
    return speaker_metric.load_speaker_similarity(name, enrolment)


def at(degrees, length=1.0):
    """A recording with this angle as embedding."""
    turn = math.radians(degrees)
    return Audio(np.array([length * math.cos(turn), length * math.sin(turn)], dtype=np.float32), RATE)


def cosine(degrees):
    return pytest.approx(math.cos(math.radians(degrees)), abs=1e-6)


def named(alike):
    return max(alike, key=lambda one: alike[one])


class TestArithmetic:
    similarity = speaker_metric.SpeakerSimilarity(
        lambda audio: audio.samples.astype(np.float64), {"Ann": [at(0), at(40), at(50, 9.0)], "Bob": [at(180)]}
    )

    def test_unseen_recording(self):
        """Every recording counts alike, however long its vector."""
        x, y = sum(np.array([math.cos(turn), math.sin(turn)]) for turn in np.radians([0, 40, 50]))
        centre = math.degrees(math.atan2(y, x))
        assert self.similarity.cosines(self.similarity.embed(at(100))) == {
            "Ann": cosine(100 - centre),
            "Bob": cosine(80),
        }

    @pytest.mark.parametrize(("own", "rest"), [(0, 45), (40, 25), (50, 20)])
    def test_an_enrolled_recording_is_left_out(self, own, rest):
        """It is compared with the middle of the two others, whatever its level."""
        cosines = self.similarity.cosines(self.similarity.embed(at(own, 0.1)))
        assert cosines == {"Ann": cosine(own - rest), "Bob": cosine(180 - own)}

    def test_one_prompt_is_the_first_recording(self):
        similarity = self.similarity
        prompt, other = similarity.embed(at(0)), similarity.embed(at(60))
        assert similarity.prompt_cosine(other, "Ann") == cosine(60)
        assert math.isnan(similarity.prompt_cosine(prompt, "Ann"))
        assert math.isnan(similarity.prompt_cosine(other, "Ann", prompt))  # the source of the conversion

    def test_nothing_is_left_of_a_speaker_with_one_recording(self):
        cosines = self.similarity.cosines(self.similarity.embed(at(180)))
        assert math.isnan(cosines["Bob"])
        assert cosines["Ann"] < 0
        assert math.isnan(self.similarity.ceiling("Bob"))
        assert math.isnan(self.similarity.mean_cosine(self.similarity.embed(at(0)), "Bob"))

    def test_a_source_is_left_out_of_what_its_conversion_is_compared_with(self):
        embedding = self.similarity.embed(at(100))
        cosines = self.similarity.cosines(embedding, self.similarity.embed(at(0)), self.similarity.embed(at(180, 2.0)))
        assert cosines["Ann"] == cosine(100 - 45)
        assert math.isnan(cosines["Bob"])

    def test_mean_cosine_and_ceiling_are_comparable(self):
        """Ann is enrolled with 0°, 40°, 50°: without each of them by 45°, 25°, 20°."""
        cosine_ = self.similarity.mean_cosine(self.similarity.embed(at(100)), "Ann")
        assert cosine_ == pytest.approx(np.mean(np.cos(np.radians([55, 75, 80]))), abs=1e-6)
        assert self.similarity.ceiling("Ann") == pytest.approx(np.mean(np.cos(np.radians([45, 15, 30]))), abs=1e-6)


class TestCepstral:
    def test_measured_in_the_spread_of_all(self):
        similarity = enrolled("cepstral")
        raw = np.stack(
            [speaker_metric.cepstral_statistics(sing(singer, seed)) for singer in SINGERS for seed in (1, 2, 3)]
        )
        assert raw.shape == (12, 48)
        moved = (raw - similarity.centre) / similarity.scale
        assert moved.mean(axis=0) == pytest.approx(np.zeros(48), abs=1e-6)
        assert moved.std(axis=0) == pytest.approx(np.ones(48), abs=1e-6)


@pytest.mark.filterwarnings("ignore")  # of the extras' own
@pytest.mark.parametrize("name", ["cepstral", RESEMBLYZER])
class TestEncoders:
    def test_copies_takes_and_other_speakers_in_that_order(self, name):
        similarity = enrolled(name)
        for singer in SINGERS:
            truth = sing(singer, 9)
            own, take = (similarity.embed(audio) for audio in (truth, sing(singer, 10)))
            strangers = [similarity.embed(sing(other, 9)) for other in SINGERS if other != singer]
            assert own @ similarity.embed(Audio(truth.samples.copy(), RATE)) == pytest.approx(1)
            assert max(own @ stranger for stranger in strangers) < own @ take < 1

    def test_singers_are_identified_in_other_phrases(self, name):
        similarity = enrolled(name)
        results = [
            (singer, similarity.cosines(similarity.embed(sing(singer, seed))))
            for singer in SINGERS
            for seed in range(9, 12)
        ]
        assert np.mean([named(alike) == singer.name for singer, alike in results]) >= 0.9

    def test_level_is_left_out(self, name):
        gain = 0.1
        results = sing(SINGERS[0], 9)
        one, other = (enrolled(name).embed(Audio(results.samples * np.float32(scale), RATE)) for scale in (1, gain))
        assert np.linalg.norm(one) == pytest.approx(1)
        assert one @ other == pytest.approx(1, abs=1e-4)


class TestWithout:
    @pytest.mark.parametrize(
        ("name", "module"), [("resemblyzer", "resemblyzer"), ("ecapa", "speechbrain.lobes.models.ECAPA_TDNN")]
    )
    def test_the_library(self, name, module, monkeypatch):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(DataError, match=rf"{module} is not installed; run `pip install"):
            speaker_metric.load_speaker_similarity(name, {"Ann": [at(0)]})
