"""Artifact measures of signals that were degraded by an exact amount."""

import math
from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage, signal

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase, recorded_phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.evaluation.metrics import artifacts

RATE = 24_000
ALTO, BASS, SOPRANO, TENOR = SINGERS
KEYS = ["breath_kept", "pause_noise", "global_variance"]


def sine(frequency, rate=RATE, seconds=1.0, level=0.9, phase=0.1):
    time = np.arange(round(seconds * rate)) / rate
    return Audio((level * np.sin(2 * np.pi * frequency * time + phase)).astype(np.float32), rate)


def noise(seconds, level=0.1, rate=RATE, seed=0):
    samples = np.random.default_rng(seed).normal(0, level, round(seconds * rate))
    return Audio(samples.astype(np.float32), rate)


@lru_cache
def rendition(speaker, seed, rate=RATE, median=None):
    return render(speaker, phrase(seed), rate, median=median)


def sing(speaker, seed=0, rate=RATE, median=None):
    return Audio(rendition(speaker, seed, rate, median).samples.copy(), rate)


class TestPauseNoise:
    def pauses(self, level, rate=RATE, gain=1.0):
        """A tone of a second, and a second of noise at a level in dB of the mean power of both."""
        tone = sine(220.0, rate, level=2**0.5).samples  # of power 1
        hiss = noise(1.0, math.sqrt(0.5) * 10 ** (level / 20), rate).samples
        return Audio(np.concatenate([tone, hiss]) * np.float32(0.1 * gain), rate)

    def noise(self, source, output):
        return artifacts.pause_noise(source, output, np.zeros(len(source.samples) * 100 // source.rate, bool))

    @pytest.mark.parametrize(
        ("source", "output", "rate", "gain"), [(-70.0, -40.0, 16_000, 0.2), (-55.0, -65.0, 44_100, 1.0)]
    )
    def test_is_the_difference(self, source, output, rate, gain):
        assert self.noise(self.pauses(source), self.pauses(output, rate, gain)) == pytest.approx(
            output - source, abs=0.3
        )

    def test_digital_silence_counts_as_minus_80_db(self):
        source = self.pauses(-200.0)
        assert self.noise(source, self.pauses(-50.0)) == pytest.approx(30, abs=0.3)
        assert self.noise(source, self.pauses(-100.0)) == 0

    def test_nan_without_pauses(self):
        assert math.isnan(self.noise(sine(220.0), sine(220.0)))

    def test_a_lost_breath_is_no_gain(self):
        source, _, f0 = breathing(-55.0)
        lost, breath = breathing(-90.0)[0], artifacts.breath_frames(source, f0)
        assert self.noise(source, lost) < -10
        assert artifacts.pause_noise(source, lost, breath) == pytest.approx(0, abs=0.5)


def breathing(level, second=None, floor=-75.0):
    """A tone of a second, then twice a breath of 0.3 s and a pause of 0.3 s; levels in dB of the tone's frames.

    With it the frames of the breaths, and f0 (N,). The breaths are white up to half the rate, so 1 to 8 kHz holds
    7/12 of their power, 2.3 dB less.
    """
    level_of = np.repeat([0.0, level, -200.0, level if second is None else second, -200.0], [100, 30, 30, 30, 30])
    breath = (level_of > -100) & (np.arange(220) >= 100)
    gains = np.repeat(np.where(np.arange(220) < 100, 0.0, 10 ** (level_of / 20)), RATE // 100)
    room = noise(2.2, 10 ** (floor / 20), seed=2).samples
    tone = np.pad(sine(220.0, level=2**0.5).samples, (0, 12 * RATE // 10))
    samples = tone + gains * noise(2.2, 1.0, seed=1).samples + room
    f0 = np.where(np.arange(220) < 100, 220.0, 0.0)
    return Audio((0.1 * samples).astype(np.float32), RATE), breath, f0


class TestBreath:
    @pytest.mark.parametrize("level", [-40.0, -55.0])
    def test_breaths_are_seen(self, level):
        audio, breath, f0 = breathing(level)
        assert np.mean(artifacts.breath_frames(audio, f0) != breath) < 0.06

    def test_other_sounds_are_no_breaths(self):
        """Louder ones, quieter ones, voices, and steady noise."""
        for level in (-30.0, -70.0):
            audio, _, f0 = breathing(level)
            assert not artifacts.breath_frames(audio, f0).any()
        audio, _, f0 = breathing(-45.0)
        assert not artifacts.breath_frames(audio, np.full_like(f0, 220.0)).any()
        audio, _, f0 = breathing(-200.0, floor=-48.0)
        assert not artifacts.breath_frames(audio, f0).any()

    @pytest.mark.parametrize(
        ("first", "second", "kept"),
        [(0.0, 0.0, 1.0), (-8.5, 8.5, 1.0), (-12.0, 0.0, 0.5), (-12.0, 12.0, 0.0), (-60.0, -60.0, 0.0)],
    )
    def test_within_ten_decibels_is_kept(self, first, second, kept):
        source, _, f0 = breathing(-48.0)
        output = breathing(-48.0 + first, -48.0 + second)[0]
        output = Audio(output.samples * np.float32(0.25), RATE)
        breath = artifacts.breath_frames(source, f0)
        assert artifacts.breath_kept(source, output, breath) == pytest.approx(kept, abs=0.06)

    def test_nan_without_breaths(self):
        audio, _, f0 = breathing(-200.0)
        assert math.isnan(artifacts.breath_kept(audio, audio, artifacts.breath_frames(audio, f0)))

    def test_recorded_phrases_have_a_breath(self):
        performance = render(ALTO, recorded_phrase(1))
        breath = artifacts.breath_frames(Audio(performance.samples, performance.rate), performance.f0)
        assert breath[15:39].mean() > 0.9
        assert not breath[60:].any()


class TestGlobalVariance:
    def smoothed(self, audio, frames):
        """The same with an envelope that moves slower."""
        _, _, spectra = signal.stft(audio.samples, audio.rate, nperseg=960, noverlap=720)
        power = np.abs(spectra) ** 2
        envelope = ndimage.uniform_filter1d(np.log(power + 1e-12), 25, axis=0) - np.log(power.mean(axis=0) + 1e-12)
        slow = ndimage.gaussian_filter1d(envelope, frames, axis=1)
        _, samples = signal.istft(spectra * np.exp((slow - envelope) / 2), audio.rate, nperseg=960, noverlap=720)
        return Audio(samples[: len(audio.samples)].astype(np.float32), audio.rate)

    def test_level_is_left_out(self):
        audio = sing(ALTO, 6)
        louder = Audio(audio.samples * np.float32(0.01), RATE)
        assert artifacts.global_variance(louder) == pytest.approx(artifacts.global_variance(audio), abs=0.01)

    def test_smoothing_shows(self):
        audio = sing(BASS, 6)
        scores = [artifacts.global_variance(self.smoothed(audio, frames)) for frames in (0.1, 4, 12)]
        assert scores[0] == pytest.approx(artifacts.global_variance(audio), abs=0.1)
        assert scores[0] > scores[1] + 0.5 > scores[2] + 1.5


class TestMeasure:
    def test_of_a_copy(self):
        performance = rendition(TENOR, 7)
        audio = Audio(performance.samples, performance.rate)
        scores = artifacts.measure(audio, audio, performance.f0)
        assert list(scores) == KEYS
        assert math.isnan(scores.pop("breath_kept"))  # a phrase in digital silence
        assert scores == dict.fromkeys(KEYS[1:], 0.0)

    def test_of_silence(self):
        source, f0 = breathing(-48.0)[::2]
        scores = artifacts.measure(source, Audio(np.zeros_like(source.samples), RATE), f0)
        assert scores["breath_kept"] == 0
        assert math.isnan(scores["pause_noise"])
        assert math.isnan(scores["global_variance"])


class TestAperiodicity:
    def tone(self, f0, rate, snr, vibrato):
        """Harmonics up to 4 kHz, 1/k, in noise of as wide a band, and the f0 (N,) of a tone of 1.5 s."""
        top = min(4000.0, 0.45 * rate)

        def pitch(time):
            return f0 * 2 ** (vibrato / 1200 * np.sin(2 * np.pi * 5 * time))

        phase = 2 * np.pi * np.cumsum(pitch(np.arange(round(1.5 * rate)) / rate)) / rate
        harmonics = range(1, int(top / f0 / 2 ** (vibrato / 1200)) + 1)
        clean = sum(np.sin(k * phase + k * k) / k for k in harmonics)
        hiss = np.convolve(noise(1.5, 1.0, rate).samples, signal.firwin(801, top, fs=rate), "same")
        hiss *= 10 ** (-snr / 20) * np.sqrt(np.mean(clean**2) / np.mean(hiss**2))
        return Audio((0.1 * (clean + hiss)).astype(np.float32), rate), pitch((np.arange(150) + 0.5) / 100)

    @pytest.mark.parametrize(
        ("f0", "rate", "snr", "vibrato"),
        [(70, 24_000, 20, 0), (110, 8_000, 0, 50), (220, 24_000, 40, 50), (330, 44_100, 20, 50), (440, 16_000, 40, 0)],
    )
    def test_is_the_noise_that_was_added(self, f0, rate, snr, vibrato):
        audio, curve = self.tone(f0, rate, snr, vibrato)
        expected = -10 * math.log10(1 + 10 ** (snr / 10))
        assert artifacts.aperiodicity(audio, curve) == pytest.approx(expected, abs=0.8)

    def test_of_a_clean_tone_and_of_noise(self):
        audio, curve = self.tone(220, RATE, 100, 0.0)
        assert artifacts.aperiodicity(audio, curve) < -55
        assert artifacts.aperiodicity(noise(1.5), curve) == pytest.approx(0, abs=0.5)

    def test_where_it_is_voiced(self):
        audio, curve = self.tone(220, RATE, 20, 0.0)
        audio.samples[RATE // 2 : RATE] = noise(0.5).samples
        curve[47:103] = 0
        assert artifacts.aperiodicity(audio, curve) == pytest.approx(-10 * math.log10(101), abs=0.5)

    def test_nan_without_voice(self):
        assert math.isnan(artifacts.aperiodicity(noise(1.0), np.zeros(100)))
