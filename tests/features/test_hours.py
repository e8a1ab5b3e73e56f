"""Recordings of hours: tracked in blocks, with the features of one piece, and never in memory as a whole."""

import numpy as np
import pytest

from svc.audio import chunks
from svc.audio.chunks import resample_to_buffer
from svc.audio.files import Audio
from svc.config import Config, ContentConfig, F0Config, FeaturesConfig
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders.true_envelope import CepstralEncoder
from svc.features import content, extract, f0

RATE = 24_000
TINY = F0Config(model="tiny")
CONFIG = Config(features=FeaturesConfig(f0=TINY, content=ContentConfig(encoder="cepstral", layer="cepstra")))


@pytest.fixture(scope="module")
def song() -> Audio:
    """Phrases of two singers more than an octave apart, faint noise under them and between them."""
    rng = np.random.default_rng(0)
    pieces = []
    for number in range(3):
        pieces += [render(SINGERS[number % 2], phrase(number)).samples, np.zeros(int(rng.uniform(0.1, 3) * RATE))]
    samples = np.concatenate(pieces)
    samples += 1e-4 * rng.standard_normal(len(samples))
    return Audio(samples[: len(samples) // 240 * 240].astype(np.float32), RATE)


@pytest.fixture(scope="module")
def level(song) -> np.ndarray:
    return extract.measure_loudness(song)


@pytest.fixture(scope="module")
def whole(song, level) -> tuple[np.ndarray, np.ndarray]:
    """f0 and periodicity in one piece."""
    return f0.track(song, len(level), TINY, audible=f0.above_silence(level, TINY))


def test_the_melody_in_blocks_is_that_of_the_whole(song, level, whole, monkeypatch):
    size = 250
    monkeypatch.setattr(f0, "BLOCK", size)
    tracked, periodicity = f0.track(song, len(level), TINY, audible=f0.above_silence(level, TINY))
    voiced = f0.voicing(whole[1], level, TINY)
    assert len(level) > 2 * size
    assert voiced.sum() > 0.4 * len(level)
    off = np.abs(1200 * np.log2(tracked / whole[0]))[voiced]
    assert (off < 2e-3).mean() > 0.999
    assert off.max() < 0.1
    np.testing.assert_allclose(periodicity[voiced], whole[1][voiced], atol=1e-5)
    np.testing.assert_array_equal(f0.voicing(periodicity, level, TINY), voiced)


def test_silence_around_the_edge_of_a_block(monkeypatch):
    """Whatever the path does through it, notes before and after stay what they are."""
    seconds = np.arange(4 * RATE) / RATE
    curve = np.where(seconds < 2, 196.0, 523.25)
    turns = 2 * np.pi * np.cumsum(curve) / RATE
    loud = (seconds < 1) | (seconds > 3)
    samples = (loud * sum(0.1 / k * np.sin(k * turns) for k in range(1, 12))).astype(np.float32)
    audible = f0.above_silence(extract.measure_loudness(Audio(samples, RATE)), TINY)
    monkeypatch.setattr(f0, "OVERLAP", 50)
    monkeypatch.setattr(f0, "BLOCK", 200)  # the edge is in the middle of the silence
    tracked, periodicity = f0.track(Audio(samples, RATE), 400, TINY, audible=audible)
    for frames, hz in ((slice(5, 95), 196.0), (slice(305, 395), 523.25)):
        assert np.abs(1200 * np.log2(tracked[frames] / hz)).max() < 3
        assert periodicity[frames].min() > TINY.voicing_threshold
    assert not periodicity[110:290].any()


def test_progress_rises_through_the_blocks_of_both_stages(song, monkeypatch):
    monkeypatch.setattr(f0, "BLOCK", 150)
    monkeypatch.setattr(content, "CHUNK", 100)
    reports: list[tuple[str, int]] = []
    audio = Audio(song.samples[: 400 * 240], RATE)
    extract.shared_extractor(CONFIG).extract(audio, progress=lambda *report: reports.append(report))
    melody, encoded = ([done for stage, done in reports if stage == name] for name in ("f0", "content"))
    assert reports == [("f0", done) for done in melody] + [("content", done) for done in encoded]
    assert melody == sorted(melody)
    assert {done // 150 for done in melody} == {0, 1, 2}
    assert melody[-1] == 400
    assert encoded == [0, 100, 200, 300, 400]


@pytest.mark.parametrize("how", ["none", "global_variance"])
def test_content_in_chunks_is_normalised_over_the_whole_file(song, level, monkeypatch, how):
    encoder = CepstralEncoder()
    encoder.normalization = how
    whole = content.extract(encoder, "cepstra", song, len(level), level)
    monkeypatch.setattr(content, "CHUNK", 101)
    monkeypatch.setattr(content, "_GROUP", 7)
    tracked = content.extract(encoder, "cepstra", song, len(level), level)
    np.testing.assert_allclose(tracked, whole, atol=2e-4)
    if how != "none":
        np.testing.assert_allclose(tracked[:, level >= level.max() - content.ACTIVE].mean(axis=1), 0, atol=1e-4)


def test_a_recording_on_the_disk_has_the_features_of_one_in_memory(song, monkeypatch):
    played = [Audio(song.samples[n : n + 9_999], 44_100) for n in range(0, 300_000, 9_999)]
    kept = resample_to_buffer(played, RATE)
    monkeypatch.setattr(chunks, "MAX_SECONDS_IN_MEMORY", 1)
    mapped = resample_to_buffer(played, RATE)
    assert isinstance(mapped.audio.samples, np.memmap)
    tracked, expected = (extract.shared_extractor(CONFIG).extract(buffered.audio) for buffered in (mapped, kept))
    for name in ("f0", "voiced", "loudness", "content"):
        np.testing.assert_array_equal(getattr(tracked, name), getattr(expected, name))
