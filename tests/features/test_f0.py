"""The melody: within cents on tones whose f0 is known, decoded by hand, and curves from a user's table."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.config import F0Config
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders.crepe import BINS
from svc.features import extract, f0, f0_refinement

RATE = 24_000
CENTRES = f0.bin_cents()


def sing(curve: np.ndarray) -> Audio:
    """Harmonics falling by 6 dB an octave at f0 (T,)."""
    turns = 2 * np.pi * np.cumsum(curve) / RATE
    count = min(30, int(0.45 * RATE / curve.max()))
    return Audio((0.1 * sum(np.cos(k * turns + k * k) / k for k in range(1, count + 1))).astype(np.float32), RATE)


def cents(tracked: np.ndarray, truth: np.ndarray | float) -> np.ndarray:
    return np.abs(1200 * np.log2(tracked / truth))


# --- tracking ---


@pytest.mark.parametrize(("hz", "refine", "within"), [
    *((hz, True, 1.0) for hz in (65, 220, 440, 1600)),
    *((hz, False, 3.0) for hz in (65, 880)),
])  # fmt: skip
def test_tones(hz, refine, within):
    audio, config = sing(np.full(RATE // 2, float(hz))), F0Config(refine=refine)
    tracked, periodicity = f0.track(audio, 50, config)
    assert np.median(cents(tracked, hz)) < within
    assert cents(tracked, hz)[4:-4].max() < 10
    assert periodicity[4:-4].min() > config.voicing_threshold
    again, _ = f0.track(audio, 50, config)
    assert np.array_equal(tracked, again)


@pytest.mark.parametrize(("hz", "extent"), [(150, 100), (800, 50)])
def test_vibrato_is_followed(hz, extent):
    def curve(seconds: np.ndarray) -> np.ndarray:
        return hz * 2 ** (extent / 1200 * np.sin(2 * np.pi * 5.5 * seconds))

    tracked, _ = f0.track(sing(curve(np.arange(RATE) / RATE)), 100, F0Config())
    error = cents(tracked, curve((np.arange(100) + 0.5) / 100))
    assert np.median(error) < 2
    assert error[4:-4].max() < 10


def test_a_held_note_with_vibrato_does_not_drift():
    """±80 cents at 6 Hz: mean and extent of its first and its last seconds."""
    seconds = np.arange(8 * RATE) / RATE
    tracked, _ = f0.track(sing(220 * 2 ** (80 / 1200 * np.sin(2 * np.pi * 6 * seconds))), 800, F0Config(model="tiny"))
    times = (np.arange(800) + 0.5) / 100
    waves = np.stack([np.sin(12 * np.pi * times), np.cos(12 * np.pi * times), np.ones(800)], axis=1)
    deviation = 1200 * np.log2(tracked / 220)
    fits = [np.linalg.lstsq(waves[part], deviation[part], rcond=None)[0] for part in (slice(4, 204), slice(-204, -4))]
    for sine, cosine, mean in fits:
        assert 0.9 < np.hypot(sine, cosine) / 80 < 1.1
        assert abs(mean) < 2


def test_a_wide_glide_is_followed():
    seconds = 3
    tracked, _ = f0.track(
        sing(80 * (1400 / 80) ** (np.arange(seconds * RATE) / RATE / seconds)),
        100 * seconds,
        F0Config(model="tiny"),
    )
    truth = 80 * (1400 / 80) ** ((np.arange(100 * seconds) + 0.5) / 100 / seconds)
    assert np.median(cents(tracked, truth)) < 10


@pytest.mark.parametrize("hz", [35, 40, 45, 55])
def test_creak_is_neither_doubled_nor_muted(hz):
    """Below 50 Hz, where CREPE has no bins in its range, and above."""
    tracked, periodicity = f0.track(sing(np.full(RATE, float(hz))), 100, F0Config(model="tiny"))
    assert (periodicity >= 0.3)[4:-4].all()
    assert cents(tracked, hz)[4:-4].max() < 50


def test_creak_of_a_ringing_voice_is_kept():
    """The formant at 2800 Hz rings between the pulses."""
    song, config = render(SINGERS[3], phrase(5), median=40.0), F0Config(model="tiny")
    tracked, periodicity = f0.track(Audio(song.samples, RATE), len(song.f0), config)
    kept = (song.f0 > 0) & (periodicity >= config.voicing_threshold)
    assert kept.sum() > 0.87 * (song.f0 > 0).sum()
    assert (cents(tracked[kept], song.f0[kept]) < 100).mean() > 0.97


def test_a_whispered_verse_is_unvoiced():
    """Aspiration through the formants of vowels, which CREPE takes for pitch in a tenth of the frames."""
    verse = [replace(phrase(number), whispered=True) for number in range(len(SINGERS))]
    parts = [render(singer, one).samples for singer, one in zip(SINGERS, verse, strict=True)]
    audio, config = Audio(np.concatenate(parts), RATE), F0Config(model="tiny")
    level = extract.measure_loudness(audio)
    _, periodicity = f0.track(audio, len(level), config, audible=f0.above_silence(level, config))
    assert f0.voicing(periodicity, level, config).mean() < 0.01


def test_weak_frames_among_strong_ones_are_no_whisper():
    """Nor are long runs of them, as of a voice in noise."""
    voiced, strong = np.zeros((2, 600), np.bool_)
    voiced[60:70] = voiced[100:110] = voiced[300:310] = voiced[500:530] = strong[102:105] = True
    assert np.array_equal(np.flatnonzero(f0.whispered(voiced, strong)), np.arange(300, 310))


@settings(max_examples=8, deadline=None)
@given(hz=st.floats(65, 1500), away=st.floats(-150, 150))
def test_a_rough_melody_is_moved_to_the_period(hz, away):
    audio = torch.from_numpy(resample(sing(np.full(RATE // 4, hz)), f0_refinement.SAMPLE_RATE).samples)
    rough = torch.full((25,), hz * 2 ** (away / 1200))
    assert cents(f0_refinement.refine_by_autocorrelation(audio, rough)[0].numpy(), hz)[4:-4].max() < 3


@pytest.mark.parametrize("away", [-230.0, 230.0])
def test_a_peak_out_of_reach_is_left_alone(away):
    tone = torch.from_numpy(resample(sing(np.full(RATE // 4, 300.0)), f0_refinement.SAMPLE_RATE).samples)
    rough = torch.full((25,), 300 * 2 ** (away / 1200))
    assert torch.equal(f0_refinement.refine_by_autocorrelation(tone, rough)[0][4:-4], rough[4:-4])


@pytest.mark.parametrize("hz", [120, 600])
def test_a_glide_in_noise_is_followed(hz):
    """1500 cents a second, of a voice 20 dB above a noise, from a melody that is late."""
    curve = hz * 2 ** (1.25 * np.arange(RATE) / RATE)
    tone = sing(curve).samples
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * tone.std() / 10
    audio = torch.from_numpy(resample(Audio(tone + noise, RATE), f0_refinement.SAMPLE_RATE).samples)
    truth = hz * 2 ** (1.25 * (np.arange(100) + 0.5) / 100)
    late = torch.from_numpy((truth * 2 ** (-80 / 1200)).astype(np.float32))
    error = cents(f0_refinement.refine_by_autocorrelation(audio, late)[0].numpy(), truth)[4:-4]
    assert np.median(error) < 3
    assert error.max() < 15


def test_what_is_not_audible_is_not_tracked():
    tone = sing(np.full(RATE, 220.0))
    audible = np.arange(100) >= 50
    part, periodicity = f0.track(tone, 100, F0Config(), audible=audible)
    whole, everywhere = f0.track(tone, 100, F0Config())
    np.testing.assert_allclose(periodicity, np.where(audible, everywhere, 0), rtol=1e-5)
    np.testing.assert_allclose(part[50:], whole[50:], rtol=1e-6)


def test_the_larger_network_tracks_what_the_smaller_is_unsure_of(monkeypatch):
    tone = sing(np.full(RATE, 220.0)).samples
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    audio = Audio(tone + np.linspace(0, 1, RATE, dtype=np.float32) * noise, RATE)
    calls = []
    run_network = f0._run_network

    def recorded(network, windows, where, probabilities):
        yield from run_network(network, windows, where, probabilities)
        calls.append((network.model, where, probabilities.copy()))

    monkeypatch.setattr(f0, "_run_network", recorded)
    _, sure = f0.track(audio, 100, F0Config(model="tiny"))
    f0.track(audio, 100, F0Config(model="full"))
    f0.track(audio, 100, F0Config(model="both"))
    (_, _, tiny), (_, _, full), (_, everywhere, _), (model, tracked_again, both) = calls
    assert model == "full"
    assert len(everywhere) == 100
    np.testing.assert_array_equal(tracked_again, np.flatnonzero((sure > 0.1) & (sure < 0.5)))
    assert 5 < len(tracked_again) < 95
    np.testing.assert_allclose(both[tracked_again], full[tracked_again], atol=1e-5)
    others = np.setdiff1d(np.arange(100), tracked_again)
    np.testing.assert_array_equal(both[others], tiny[others])


def test_silence_and_noise_are_unvoiced():
    config, loud = F0Config(), np.zeros(100, np.float32)
    rng = np.random.default_rng(0)
    _, periodicity = f0.track(Audio(np.zeros(RATE, np.float32), RATE), 100, config)
    assert not f0.voicing(periodicity, loud, config).any()
    _, periodicity = f0.track(Audio((0.1 * rng.standard_normal(RATE)).astype(np.float32), RATE), 100, config)
    assert f0.voicing(periodicity, loud, config).mean() < 0.1


def test_frames_past_the_end_are_unvoiced():
    tracked, periodicity = f0.track(sing(np.full(RATE // 4, 220.0)), 40, F0Config())
    assert (len(tracked), periodicity[30:].max() < 0.3, periodicity[5:20].min() > 0.3) == (40, True, True)
    assert [len(x) for x in f0.track(Audio(np.zeros(0, np.float32), RATE), 0, F0Config(refine=False))] == [0, 0]


def test_voicing_needs_periodicity_and_level():
    periodicity = np.array([0.9, 0.9, 0.29, 0.3], np.float32)
    loudness = np.array([-10, -61, -10, -60], np.float32)
    periodicity, loudness = np.repeat(periodicity, 4), np.repeat(loudness, 4)
    assert f0.voicing(periodicity, loudness, F0Config()).tolist() == np.repeat([True, False, False, True], 4).tolist()


@pytest.mark.parametrize(
    ("frames", "level", "stays"), [(2, -41, False), (5, -41, False), (6, -41, True), (2, -39, True)]
)
@pytest.mark.parametrize("start", [0, 60])
def test_short_islands_far_below_the_notes_are_unvoiced(frames, level, stays, start):
    """Breath taken for pitch: two frames 40 dB below the notes were converted to a hum of 20 ms."""
    periodicity, loudness = np.zeros(70, np.float32), np.full(70, -50, np.float32)
    periodicity[20:50], loudness[20:50] = 0.9, -10
    periodicity[start : start + frames], loudness[start : start + frames] = 0.9, level
    voiced = f0.voicing(periodicity, loudness, F0Config())
    assert voiced[20:50].all()
    assert voiced[start : start + frames].tolist() == [stays] * frames
    assert voiced.sum() == 30 + stays * frames


# --- decoding ---


def peaks(*bins: int, height: float = 1.0, frames: int = 1) -> np.ndarray:
    table = np.zeros((frames, BINS), np.float32)
    table[:, list(bins)] = height
    return table


def decoded_cents(table: np.ndarray, fmin: float = 31.0, fmax: float = 2006.0) -> np.ndarray:
    return 1200 * np.log2(f0.decode(table, fmin, fmax)[0] / 10)


def test_between_two_bins_is_their_mean():
    table = peaks(100, height=0.75)
    table[0, 101] = 0.25
    np.testing.assert_allclose(decoded_cents(table), CENTRES[100] + 5, atol=0.01)
    table[0, 105] = 1e-3  # more than four bins off the path: no part of the mean
    np.testing.assert_allclose(decoded_cents(table), CENTRES[100] + 5, atol=0.01)


def test_one_frame_an_octave_off_is_ignored_and_a_lasting_leap_is_not():
    table = peaks(100, height=0.8, frames=9) + peaks(160, height=0.1, frames=9)
    table[4] = peaks(160, height=0.9)[0] + peaks(100, height=0.1)[0]
    np.testing.assert_allclose(decoded_cents(table), CENTRES[100], atol=0.5)
    table = np.concatenate([peaks(100, frames=20), peaks(160, frames=20)])
    tracked = decoded_cents(table)
    np.testing.assert_allclose(tracked[[0, 10, -10, -1]], CENTRES[[100, 100, 160, 160]], atol=0.5)


def test_the_range_is_kept():
    table = peaks(50, height=0.4) + peaks(200, height=0.6) + peaks(300)
    for fmin, fmax, wanted in ((50, 2006, 300), (50, 800, 200), (50, 100, 50), (400, 2006, 300)):
        np.testing.assert_allclose(decoded_cents(table, fmin, fmax), CENTRES[wanted], atol=0.01)
