"""The judges of the ``eval`` extra."""

import importlib.util
import sys

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.data.synthetic import SINGERS, phrase, render
from svc.errors import DataError
from svc.evaluate import judges

pytestmark = pytest.mark.filterwarnings("ignore")  # of the extras' own


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
def test_praat_hears_a_tone(rate):
    pytest.importorskip("parselmouth")
    phase = 2 * np.pi * 220.0 * np.arange(rate) / rate
    samples = (0.1 * sum(np.sin(k * phase) / k for k in range(1, 11))).astype(np.float32)
    sung = judges.praat_pitch(Audio(samples, rate))
    assert sung.shape == (100,)
    assert np.abs(1200 * np.log2(sung[4:-4] / 220)).max() < 1
    assert not judges.praat_pitch(Audio(np.zeros(rate, dtype=np.float32), rate)).any()


@pytest.mark.skipif(not importlib.util.find_spec("resemblyzer"), reason="needs the eval extra")
def test_resemblyzer_knows_singers_apart():
    pair = (SINGERS[1], SINGERS[2])

    def sing(singer, seed):
        return Audio(render(singer, phrase(seed)).samples, 24_000)

    judge = judges.SpeakerJudge({singer.name: [sing(singer, seed) for seed in (0, 1)] for singer in pair})
    heard = sing(pair[0], 5)
    assert np.linalg.norm(judge.embed(heard)) == pytest.approx(1, abs=1e-5)
    likeness = judge.cosines(heard)
    assert likeness[pair[0].name] > likeness[pair[1].name]
    level = judge.cosines(Audio(heard.samples * np.float32(0.1), 24_000))
    assert level == pytest.approx(likeness, abs=1e-3)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(DataError, match=r"parselmouth is not installed; run `pip install"):
        judges.praat_pitch(Audio(np.zeros(2400, dtype=np.float32), 24_000))
