"""A second voice is noticed where it sounds, a single one is not, and f0 keeps to the louder of two."""

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.config import F0Config
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.features import f0, second_voice
from svc.features.second_voice import describe, find_second_voice, louder_voice
from svc.utils.units import db_to_gain

RATE, LEVEL = 24_000, db_to_gain(-6)
ALTO, BASS, SOPRANO, TENOR = SINGERS


@pytest.fixture(scope="module")
def lead():
    return render(ALTO, phrase(1))


@pytest.fixture(scope="module")
def duet(lead):
    """With a soprano a major third above, 6 dB softer."""
    second = render(SOPRANO, phrase(1), f0=lead.f0 * 2 ** (4 / 12)).samples
    powers = np.square(lead.samples).mean() / np.square(second).mean()
    return Audio(lead.samples + np.float32(LEVEL * powers**0.5) * second, RATE)


def curve(rendition) -> np.ndarray:
    return np.where(rendition.f0 > 0, rendition.f0, 200).astype(np.float32)


@pytest.mark.parametrize("singer", SINGERS, ids=lambda singer: singer.name)
def test_one_voice_is_one(singer):
    alone = render(singer, phrase(2))
    assert find_second_voice(Audio(alone.samples, RATE), curve(alone), alone.f0 > 0) == []


def test_two_voices_are_noticed_where_they_sound(lead, duet):
    """The second from the middle on."""
    half = len(duet.samples) // 2
    joined = Audio(np.concatenate([lead.samples[:half], duet.samples[half:]]), RATE)
    spans = find_second_voice(joined, curve(lead), lead.f0 > 0)
    assert sum(end - start for start, end in spans) > 0.6 * (lead.f0[half // 240 :] > 0).sum() / 100
    assert min(start for start, _ in spans) > half / RATE - 0.3


def test_chunks_give_the_same(lead, duet, monkeypatch):
    whole = find_second_voice(duet, curve(lead), lead.f0 > 0)
    moved = louder_voice(duet, curve(lead), lead.f0 > 0, whole)
    monkeypatch.setattr(second_voice, "CHUNK", 52)
    assert find_second_voice(duet, curve(lead), lead.f0 > 0) == whole
    np.testing.assert_array_equal(louder_voice(duet, curve(lead), lead.f0 > 0, whole), moved)


def test_f0_keeps_to_the_louder_voice(lead, duet):
    """As CREPE and the autocorrelation track it, and nearer after that. Seed-VC keeps 84.0 %, YingMusic-SVC 86.5 %."""
    frames = len(lead.f0)
    tracked, periodicity = f0.track(duet, frames, F0Config(model="tiny"))
    both = (periodicity > 0.3) & (lead.f0 > 0)
    spans = find_second_voice(duet, tracked, both)
    moved = louder_voice(duet, tracked, both, spans)
    assert np.corrcoef(np.log(moved[both]), np.log(lead.f0[both]))[0, 1] > 0.95
    error = 1200 * np.abs(np.log2(np.stack([tracked, moved])[:, both] / lead.f0[both]))
    assert np.median(error[1]) < 10
    assert np.median(error[1]) < np.median(error[0])
    np.testing.assert_array_equal(louder_voice(duet, tracked, both, []), tracked)


def test_spans_are_described():
    assert describe([(1.24, 3.4), (7.0, 8.14)]) == "1.2–3.4, 7.0–8.1 s"
    assert describe([(float(n), n + 0.5) for n in range(8)]).endswith("4.0–4.5 s and 3 more places")
