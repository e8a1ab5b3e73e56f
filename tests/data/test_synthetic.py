"""The synthetic singers: their physics, their timing, and that they can be told apart."""

import numpy as np
import pytest

from svc.audio.files import read
from svc.data.synthetic.phrases import SCALE, Note, Phrase, phrase, recorded_phrase
from svc.data.synthetic.singers import SINGERS, render, write_singers
from svc.utils.units import hop_samples

RATE = 24_000
BY_NAME = {singer.name: singer for singer in SINGERS}


def held(vowel: str, consonant: str = "", seconds: float = 1.5) -> Phrase:
    return Phrase((Note(consonant, vowel, 0.0, seconds, rest=0.15),), lead=0.15)


def test_the_fundamental_follows_the_curve():
    """Instantaneous frequency of the fundamental, through vibrato and drift, over 50 ms."""
    singing = render(BY_NAME["bass"], held("a"))
    bins = np.fft.rfftfreq(len(singing.samples), 1 / RATE)
    typical = np.median(singing.f0[singing.f0 > 0])
    band = np.fft.rfft(singing.samples) * (np.abs(bins - typical) < typical / 2)
    analytic = np.fft.ifft(band, len(singing.samples))  # the negative frequencies stay zero
    phase = np.unwrap(np.angle(analytic)) / (2 * np.pi)
    hop = hop_samples(RATE)
    for start in range(25, 145, 5):
        result = (phase[(start + 5) * hop] - phase[start * hop]) * 20
        expected = float(singing.f0[start : start + 5].mean())
        assert abs(1200 * np.log2(result / expected)) < 5, start


def test_two_singers_share_timing_and_f0():
    seed = 5
    phrase_audio = phrase(seed)
    source = render(BY_NAME["alto"], phrase_audio)
    target = render(BY_NAME["bass"], phrase_audio, f0=source.f0)
    own = render(BY_NAME["bass"], phrase_audio)
    assert np.array_equal(source.f0, target.f0)
    assert len(source.samples) == len(target.samples) == len(own.samples)
    assert np.array_equal(source.f0 > 0, own.f0 > 0)
    assert len(source.f0) == len(source.samples) // hop_samples(RATE) == phrase_audio.frames


def test_renditions_are_deterministic_and_in_range():
    rate = 44_100
    first, second = (render(BY_NAME["soprano"], phrase(2), rate) for _ in range(2))
    assert first.samples.tobytes() == second.samples.tobytes()
    assert np.array_equal(first.f0, second.f0)
    assert first.samples.dtype == np.float32
    assert first.rate == rate
    assert np.isfinite(first.samples).all()
    assert np.abs(first.samples).max() == pytest.approx(0.5)
    assert len(first.f0) == len(first.samples) // hop_samples(rate)


def test_phrases_are_what_they_promise():
    for seed in range(40):
        created = phrase(seed)
        assert created == phrase(seed)
        assert 6 <= len(created.notes) <= 10
        assert 3.7 <= created.frames / 100 <= 5.3
        assert all(note.semitones in SCALE and abs(note.semitones) <= 7 for note in created.notes)
    assert phrase(0) != phrase(1)


def test_a_recorded_phrase_is_the_phrase_with_a_breath_and_a_room():
    """The breath lies 40 to 60 dB below the loudest frame, the room below the breath; the notes stay."""
    for seed, name in enumerate(BY_NAME):
        recorded = recorded_phrase(seed)
        assert recorded.notes == phrase(seed).notes
        singing = render(BY_NAME[name], recorded)
        assert len(singing.f0) == recorded.frames == len(singing.samples) // hop_samples(RATE)
        assert (singing.f0[:54] == 0).all()
        level = 10 * np.log10(np.square(singing.samples.reshape(-1, hop_samples(RATE))).mean(axis=1))
        breath, room = np.median(level[16:38]), np.median(level[:8])
        assert -61 < breath - level.max() < -34
        assert -92 < room < -78 < breath
        assert room < breath - 5


def test_files_hold_the_renditions(tmp_path):
    write_singers(tmp_path / "voices", 2, rate=16_000, seed=5)
    result = sorted(path.relative_to(tmp_path / "voices").as_posix() for path in tmp_path.rglob("*.wav"))
    assert result == [f"{name}/phrase_{n:03d}.wav" for name in sorted(BY_NAME) for n in range(2)]
    audio = read(tmp_path / "voices" / "bass" / "phrase_001.wav")
    expected = render(BY_NAME["bass"], recorded_phrase(6), 16_000)
    assert audio.rate == 16_000
    assert np.abs(audio.samples - expected.samples).max() < 1e-6
