"""Singing from Python: as on the command line."""

import numpy as np
import pytest
from test_pipeline import QUICK, clips  # noqa: F401, a fixture

from svc.api import Voice
from svc.errors import WeightsError
from svc.inference.converter import Converter


def test_the_api_converts_as_the_converter(voice, tone, tmp_path):
    voice.save(tmp_path / "v.safetensors")
    loaded = Voice.load(str(tmp_path / "v.safetensors"))
    assert [speaker.name for speaker in loaded.speakers] == ["Ann", "Bob Ö."]
    created = loaded.convert(tone.samples.astype(np.float64), tone.rate, speaker=1, transpose=-12)
    wanted, _ = Converter(voice).convert(tone, "Bob Ö.", transpose=-12)
    assert np.array_equal(created, wanted.samples)
    assert loaded.report.transpose == -12


def test_stereo_comes_out_stereo(voice, tone):
    """In the middle as the mono conversion, and elsewhere with the level difference of the source."""
    mono = Voice(voice).convert(tone.samples, tone.rate, speaker="Ann")
    both = Voice(voice).convert(np.stack([tone.samples] * 2, axis=1), tone.rate, speaker="Ann")
    np.testing.assert_allclose(both, np.stack([mono] * 2, axis=1), atol=1e-4)
    aside = Voice(voice).convert(tone.samples[:, None] * np.array([1.0, 0.5]), tone.rate, speaker="Ann")
    assert 10 * np.log10(np.divide(*np.square(aside).sum(axis=0))) == pytest.approx(6.02, abs=0.5)


def test_what_is_no_audio_is_refused(voice):
    for wrong in (np.zeros((2, 1000)), np.array([0.0, np.nan] * 500)):
        with pytest.raises(ValueError, match="finite samples"):
            Voice(voice).convert(wrong, 44_100, speaker="Ann")
    for length, rate in ((0, 44_100), (440, 44_100), (1000, 0), (1000, 10**6)):
        with pytest.raises(ValueError, match="10 ms or more"):
            Voice(voice).convert(np.zeros(length), rate, speaker="Ann")
    with pytest.raises(WeightsError, match="it has 0 Ann"):
        Voice(voice).convert(np.zeros(4410), 44_100, speaker="Zoe")


def test_singers_come_and_go(voice, clips, tone, tmp_path):  # noqa: F811
    first = Voice(voice)
    second = first.fit(clips, "Cat", tmp_path / "work", overrides=QUICK)
    assert len(second.convert(tone.samples, tone.rate, speaker="Cat")) == len(tone.samples)
    third = second.rename("2", "Chloë").remove("Ann")
    assert [(s.number, s.name) for s in third.speakers] == [(1, "Bob Ö."), (2, "Chloë")]
    assert [s.name for s in first.merge(third).speakers] == ["Ann", "Bob Ö.", "Chloë"]
    assert [s.name for s in first.speakers] == ["Ann", "Bob Ö."]
    third.save(tmp_path / "v.safetensors")
    assert Voice.load(tmp_path / "v.safetensors").speakers == third.speakers
