"""Distances of known sizes; warping hides timing, and says so."""

import dataclasses
import math
from functools import lru_cache

import librosa
import numpy as np
import pytest

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.evaluation.metrics import spectral
from svc.evaluation.metrics.f0 import f0_scores, loudness_scores

RATE = 24_000
SONG = phrase(0)


def noise(seconds, seed=0, level=0.1):
    samples = np.random.default_rng(seed).normal(0, level, round(seconds * RATE))
    return Audio(samples.astype(np.float32), RATE)


def scaled(audio, gain):
    return Audio(audio.samples * np.float32(gain), audio.rate)


def coloured(audio, ripple, periods):
    """Filtered by a ripple of so many dB and periods over the mel axis."""
    bins = np.fft.rfftfreq(len(audio.samples), 1 / RATE)
    low, high = librosa.hz_to_mel([spectral.LOWEST, RATE / 2])
    place = np.clip((librosa.hz_to_mel(bins) - low) / (high - low), 0, 1)
    gain = 10 ** (ripple * np.cos(2 * np.pi * periods * place) / 20)
    return Audio(np.fft.irfft(np.fft.rfft(audio.samples) * gain, len(audio.samples)).astype(np.float32), RATE)


@lru_cache
def sing(singer, song=SONG, rate=RATE):
    return render(singer, song, rate)


def voice(singer=SINGERS[1], song=SONG, rate=RATE):
    return Audio(sing(singer, song, rate).samples.copy(), rate)


def warped(output, truth):
    return spectral.warped_distances(output=output, truth=truth)


class TestCepstralDistance:
    def distance(self, output, truth):
        return spectral.mcd(output=output, truth=truth)

    @pytest.mark.parametrize(("ripple", "periods"), [(6.0, 3.5), (-3.0, 2.0)])
    def test_of_a_filter_is_its_rms(self, ripple, periods):
        found = self.distance(coloured(noise(2.0), ripple, periods), noise(2.0))
        assert found == pytest.approx(abs(ripple) / math.sqrt(2), rel=0.06)

    def test_only_where_the_truth_sings(self):
        half = RATE // 2
        truth, other = noise(1.0).samples, voice().samples[RATE : RATE + half]
        truth[half:] *= 1e-4
        output = Audio(np.concatenate([truth[:half], other]), RATE)
        assert self.distance(output, Audio(truth, RATE)) < 0.5  # the window at the seam
        assert self.distance(Audio(truth, RATE), output) > 3


@pytest.mark.parametrize("order", [1, 24])
def test_of_cepstra_moved_by_a_known_step(order, monkeypatch):
    """A spectrum is c0 + 2 Σ c_k cos: 0.1 neper of c_k is a ripple of 0.2 neper, whatever the level."""
    right = np.random.default_rng(0).normal(size=(80, 40))
    ripple = 0.2 * np.cos(np.pi / 80 * order * (np.arange(80) + 0.5))[:, None]
    told = {0.0: right + ripple + 3, 1.0: right}
    monkeypatch.setattr(spectral, "log_mel", lambda audio: told[float(audio.samples[0])])
    output, truth = (Audio(np.full(1, name, dtype=np.float32), RATE) for name in told)
    cepstral = 10 / math.log(10) * math.sqrt(2) * 0.2
    assert spectral.mcd(output=output, truth=truth) == pytest.approx(cepstral)
    rms = 0.2 / math.sqrt(2) * 20 / math.log(10)
    assert warped(output, truth) == pytest.approx({"mcd": cepstral, "log_mel": rms, "stretch": 0})


class TestLevelAndRate:
    @pytest.mark.parametrize(("singer", "gain"), [(SINGERS[0], 0.01), (SINGERS[1], 4.0)])
    def test_level_is_left_out(self, singer, gain):
        """Of the darkest voice too, whose top bands are 90 dB down."""
        truth = voice(singer)
        assert warped(scaled(truth, gain), truth) == pytest.approx({"mcd": 0, "log_mel": 0, "stretch": 0}, abs=1e-3)
        assert spectral.mcd(output=scaled(truth, gain), truth=truth) == pytest.approx(0, abs=1e-3)

    @pytest.mark.parametrize("rates", [(24_000, 48_000), (16_000, 44_100)])
    def test_rates_may_differ(self, rates):
        output, truth = (resample(voice(rate=48_000), rate) for rate in rates)
        assert warped(output, truth)["mcd"] < 0.5
        assert spectral.mcd(output=output, truth=truth) < 0.5
        assert spectral.stft_distance(output=output, truth=truth) < 0.2


class TestWarpedDistances:
    @pytest.mark.parametrize("late", [0.1, 0.3])
    def test_lateness_shows_in_stretch_alone(self, late):
        moved, still = (np.pad(voice().samples, (RATE // 2 + n, RATE // 2 - n)) for n in (round(late * RATE), 0))
        found = warped(Audio(moved, RATE), Audio(still, RATE))
        assert found["mcd"] == pytest.approx(0, abs=1e-3)
        assert found["log_mel"] == pytest.approx(0, abs=1e-3)
        sung = (SONG.frames - 40) / (SONG.frames + 100)  # the ends are silent, and lie anywhere
        assert 1000 * late * math.sqrt(sung) <= found["stretch"] <= 1000 * late

    def test_syllables_sung_late(self):
        """The first is 150 ms longer, the last as much shorter: what warping hides, other measures tell."""
        first, *middle, last = SONG.notes
        notes = (
            dataclasses.replace(first, seconds=first.seconds + 0.15),
            *middle,
            dataclasses.replace(last, seconds=last.seconds - 0.15),
        )
        late = dataclasses.replace(SONG, notes=notes)
        found = warped(voice(song=late), voice())
        assert found["mcd"] < 1
        assert 110 < found["stretch"] < 150
        assert spectral.mcd(output=voice(song=late), truth=voice()) > 8
        assert loudness_scores(output=voice(song=late), source=voice())["lag"] == 150
        assert f0_scores(output_f0=sing(SINGERS[1], late).f0, reference_f0=sing(SINGERS[1]).f0)["f0_rmse"] > 100

    def test_a_take_on_the_clock_of_another(self, monkeypatch):
        """What begins so many frames late is found so many frames later, in whatever stride it is looked at."""
        still = voice()
        moved = Audio(np.concatenate([np.zeros(RATE // 10, np.float32), still.samples]), RATE)
        where = spectral.active(spectral.mel_cepstra(still)[0])
        later = spectral.dtw_frame_map(take=moved, source=still) - np.arange(SONG.frames)
        assert (np.abs(later[where] - 10) <= 1).mean() > 0.95
        whole = Audio(np.tile(still.samples, 1 + spectral.MAX_PATH // SONG.frames), RATE)
        same = spectral.dtw_frame_map(take=whole, source=whole)
        assert len(same) == len(whole.samples) * 100 // RATE > spectral.MAX_PATH
        assert np.abs(same - np.arange(len(same))).max() <= 1
        short = Audio(still.samples[: RATE // 20], RATE)
        assert set(spectral.dtw_frame_map(take=short, source=still)) == set(range(5))
        monkeypatch.setattr(spectral, "MAX_PATH", 40)  # so that every tenth frame is looked at
        assert spectral.dtw_frame_map(take=short, source=still) is None

    @pytest.mark.parametrize("singer", SINGERS[:2])
    def test_copy_then_take_then_stranger(self, singer):
        """A take has other noise and timing; the strangers keep even the truth's melody."""
        truth = voice(singer)
        slower = tuple(dataclasses.replace(note, seconds=round(1.1 * note.seconds, 2)) for note in SONG.notes)
        take = warped(voice(singer, dataclasses.replace(SONG, seed=9, notes=slower)), truth)
        melody = sing(singer).f0
        strangers = [
            warped(Audio(render(other, SONG, f0=melody).samples, RATE), truth) for other in SINGERS if other != singer
        ]
        for key in ("mcd", "log_mel"):
            assert 0 < take[key] < 0.6 * min(stranger[key] for stranger in strangers)


class TestStftDistance:
    def distance(self, output, truth):
        return spectral.stft_distance(output=output, truth=truth)

    @pytest.mark.parametrize("gain", [0.25, 2.0])
    def test_of_a_gain(self, gain):
        """Convergence |1 − g|, log magnitude |ln g|."""
        expected = abs(1 - gain) + abs(math.log(gain))
        assert self.distance(scaled(noise(1.0), gain), noise(1.0)) == pytest.approx(expected, rel=1e-3)
