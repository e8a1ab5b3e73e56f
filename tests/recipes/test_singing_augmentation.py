"""Twins: the same words in other voices, and as if they were sung: notes, lengths, and labels that keep up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonetics.phones import NUMBER, PHONES, SILENCE, UNKNOWN
from phonetics.singing_augmentation import (
    DURATION_FACTORS,
    HIGHEST_STEP,
    LOWEST_STEP,
    SCALE,
    TONICS_HZ,
    PhoneDuration,
    change_voice,
    plan_durations,
    random_melody,
    sing,
    stretched_labels,
)

from svc.audio.files import Audio

parselmouth = pytest.importorskip("parselmouth")

RATE = 16_000
A, S, T = NUMBER["a"], NUMBER["s"], NUMBER["t"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def voice(hertz: float, seconds: float) -> Audio:
    """A buzz through three formants."""
    time = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(4_000 / hertz)) * hertz
    gains = sum(1 / (1 + ((harmonics - formant) / 80) ** 2) for formant in (700, 1_200, 2_600))
    samples = (gains * np.sin(2 * np.pi * time[:, None] * harmonics)).sum(axis=1)
    return Audio((0.3 * samples / np.abs(samples).max()).astype(np.float32), RATE)


def pitch(samples: np.ndarray) -> np.ndarray:
    """Hz, of voiced frames."""
    result = parselmouth.Sound(samples.astype(np.float64), RATE).to_pitch(pitch_floor=65, pitch_ceiling=900)
    hertz = result.selected_array["frequency"]
    return hertz[hertz > 0]


@given(st.lists(st.integers(UNKNOWN, len(PHONES) - 1), min_size=1, max_size=80), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_plan_covers_every_frame_and_draws_out_what_can_be(labels, seed):
    truth = np.array(labels)
    stretches = plan_durations(truth, rng(seed))
    assert [frame for s in stretches for frame in range(s.first, s.last)] == list(range(len(truth)))
    for stretch in stretches:
        assert (truth[stretch.first : stretch.last] == stretch.phone).all()
        least, most = DURATION_FACTORS.get(PHONES[stretch.phone], (1, 1)) if stretch.phone != UNKNOWN else (1, 1)
        assert least <= stretch.factor <= most
    longer = stretched_labels(stretches)
    assert len(longer) == round(sum((s.last - s.first) * s.factor for s in stretches))
    assert set(longer) <= {*labels, UNKNOWN}


def test_labels_stretch_along_and_edges_are_unknown():
    stretches = [
        PhoneDuration(T, 0, 3, 1.0),
        PhoneDuration(A, 3, 8, 4.0),
        PhoneDuration(S, 8, 12, 1.2),
        PhoneDuration(SILENCE, 12, 14, 1.0),
    ]
    expected = [T] * 3 + [UNKNOWN] * 3 + [A] * 14 + [UNKNOWN] * 3 + [S] * 5 + [SILENCE] * 2
    np.testing.assert_array_equal(stretched_labels(stretches), expected)


def test_singing_is_as_long_as_its_labels_and_as_loud():
    seed = 1
    truth = np.repeat([SILENCE, T, A, S, A], [10, 6, 30, 14, 40])
    stretches = plan_durations(truth, rng(seed))
    samples_out = sing(voice(140, 1.0), stretches, rng(seed))
    assert samples_out.dtype == np.float32
    assert len(samples_out) == len(stretched_labels(stretches)) * RATE // 100 > RATE
    assert np.abs(samples_out).max() == pytest.approx(0.3, rel=0.1)


def test_every_syllable_stands_on_a_note():
    """Without vibrato the pitch is one of the scale's from frame to frame, but where notes meet."""
    truth = np.repeat([A, S, A, S, A, S, A, S], 20)
    steps = np.array([12 * (step // 7) + SCALE[step % 7] for step in range(LOWEST_STEP, HIGHEST_STEP + 1)])
    offsets = set()
    for seed in range(8):
        notes = np.array([hertz for _, hertz in random_melody(plan_durations(truth, rng(seed)), 140.0, rng(seed))])
        on_the_beat = 12 * np.log2(notes[[0, 40, 80, 120]] / notes[0])  # vibrato has not begun
        tonics = [s for s in steps if all(np.abs(steps - s - beat).min() < 1e-6 for beat in on_the_beat)]
        assert tonics, on_the_beat
        assert (notes > TONICS_HZ[0] / 1.8).all()
        assert (notes < TONICS_HZ[1] * 2.1).all()
        offsets |= set(np.round(on_the_beat).tolist())
    assert len(offsets) > 5


def test_another_voice_keeps_the_time_and_changes_the_pitch():
    audio = voice(140, 0.8)
    medians = []
    for seed in range(6):
        samples_out = change_voice(audio, rng(seed))
        assert len(samples_out) == len(audio.samples)
        medians.append(np.median(pitch(samples_out)))
    assert 70 <= min(medians) < 0.8 * max(medians)
