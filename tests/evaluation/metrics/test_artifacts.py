"""Naturalness of signals that were hurt by a known amount."""

import math
from functools import lru_cache
from itertools import groupby

import numpy as np
import pytest
from scipy import ndimage, signal

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.singers import SINGERS, phrase, render
from svc.evaluation.metrics import artifacts

RATE = 24_000
ALTO, BASS, SOPRANO, TENOR = SINGERS
KEYS = ["clipped", "clicks", "silence_noise", "above_band", "aperiodicity", "global_variance"]


def sine(frequency, rate=RATE, seconds=1.0, level=0.9, phase=0.1):
    time = np.arange(round(seconds * rate)) / rate
    return Audio((level * np.sin(2 * np.pi * frequency * time + phase)).astype(np.float32), rate)


def noise(seconds, level=0.1, rate=RATE, seed=0):
    samples = np.random.default_rng(seed).normal(0, level, round(seconds * rate))
    return Audio(samples.astype(np.float32), rate)


@lru_cache
def rendition(singer, seed, rate=RATE, median=None):
    return render(singer, phrase(seed), rate, median=median)


def sing(singer, seed=0, rate=RATE, median=None):
    return Audio(rendition(singer, seed, rate, median).samples.copy(), rate)


def rounded(audio, bits=16):
    steps = 2 ** (bits - 1)
    return Audio((np.round(audio.samples * steps) / steps).astype(np.float32), audio.rate)


def decibels(ratio):
    return 10 * math.log10(ratio)


class TestClipped:
    @pytest.mark.parametrize(("rate", "bits"), [(8_000, 8), (24_000, 16), (48_000, 16), (96_000, 16), (48_000, 24)])
    @pytest.mark.parametrize("frequency", [50.0, 65.4, 220.0, 1000.0])
    def test_no_sine_is(self, frequency, rate, bits):
        """Its tops are flat once rounded: seven samples of 16 bits at 50 Hz and 96 kHz."""
        assert artifacts.clipped(rounded(sine(frequency, rate), bits)) == 0

    @pytest.mark.parametrize("singer", SINGERS)
    def test_no_voice_is(self, singer):
        assert artifacts.clipped(rounded(sing(singer))) == 0

    @pytest.mark.parametrize("gain", [1.0, 0.31, 0.01])
    @pytest.mark.parametrize("frequency", [97.0, 441.0])
    def test_a_share_that_is_known(self, gain, frequency):
        """A sine is above half its peak, in size, for two thirds of the time."""
        flat = Audio(np.clip(sine(frequency).samples, -0.45, 0.45) * np.float32(gain), RATE)
        assert artifacts.clipped(rounded(flat)) == pytest.approx(2 / 3, abs=0.02)

    def test_on_one_side(self):
        flat = Audio(np.minimum(sine(97.0).samples, 0.45), RATE)
        assert artifacts.clipped(flat) == pytest.approx(1 / 3, abs=0.01)

    @pytest.mark.parametrize("singer", SINGERS)
    def test_a_voice_that_is(self, singer):
        """Exactly the samples in runs of three or more."""
        clean = 3 * sing(singer).samples
        flat = np.clip(clean, -1, 1)
        runs = [len(list(run)) for value, run in groupby(flat) if abs(value) == 1]
        expected = sum(run for run in runs if run >= 3) / len(flat)
        assert expected > 0.001
        assert artifacts.clipped(rounded(Audio(np.float32(0.2) * flat, RATE))) == pytest.approx(expected, rel=0.02)


class TestClicks:
    @pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
    @pytest.mark.parametrize("singer", SINGERS)
    def test_none_in_a_voice(self, singer, rate):
        assert artifacts.clicks(resample(sing(singer, 1), rate)) == 0

    @pytest.mark.parametrize("median", [65.0, 80.0])
    def test_glottal_pulses_are_none(self, median):
        assert artifacts.clicks(sing(BASS, 2, median=median)) == 0

    @pytest.mark.parametrize("audio", [noise(2.0), sine(220.0), sine(70.0, 48_000)])
    def test_none_in_noise_and_tones(self, audio):
        assert artifacts.clicks(audio) == 0

    def places(self, audio, count=5):
        """Loud ones a quarter of a second apart."""
        loud = ndimage.maximum_filter1d(np.abs(audio.samples), audio.rate // 50)
        at = np.linspace(0.1, 0.9, count) * len(loud)
        near = [int(place) + np.arange(-audio.rate // 12, audio.rate // 12) for place in at]
        return [int(window[np.argmax(loud[window])]) for window in near], loud

    def hurt(self, audio, kind, size):
        at, loud = self.places(audio)
        if kind == "impulses":
            audio.samples[at] += size * loud[at]
            return audio
        fade = np.linspace(1, 0, RATE // 10, dtype=np.float32)
        for place in at:
            audio.samples[place : place + len(fade)] += size * loud[place] * fade
        return audio

    @pytest.mark.parametrize(("kind", "size"), [("impulses", 0.1), ("impulses", 1.0), ("steps", 0.2), ("steps", 0.6)])
    @pytest.mark.parametrize("seed", [0, 1, 2, 3])
    @pytest.mark.parametrize("singer", [ALTO, BASS])
    def test_are_counted(self, singer, seed, kind, size):
        audio = self.hurt(sing(singer, seed), kind, size)
        assert artifacts.clicks(audio) * audio.seconds == pytest.approx(5)

    @pytest.mark.parametrize(("kind", "size"), [("impulses", 0.2), ("steps", 0.3)])
    def test_few_are_missed_in_breath_and_pulses(self, kind, size):
        hurt = [self.hurt(sing(singer, seed), kind, size) for singer in (SOPRANO, TENOR) for seed in (0, 1, 2, 3)]
        found = [round(artifacts.clicks(audio) * audio.seconds) for audio in hurt]
        assert max(found) <= 5
        assert sum(found) >= 0.9 * 5 * len(found)

    @pytest.mark.parametrize(("singer", "seed"), [(BASS, 7), (TENOR, 2)])
    def test_a_gap_has_two_edges(self, singer, seed):
        audio = sing(singer, seed)
        at, _ = self.places(audio, 3)
        for place in at:
            audio.samples[place : place + RATE // 100] = 0
        assert artifacts.clicks(audio) * audio.seconds == pytest.approx(6)

    def test_level_does_not_matter(self):
        audio = self.hurt(sing(TENOR, 3), "impulses", 0.3)
        quiet = Audio(audio.samples * np.float32(1e-3), RATE)
        assert artifacts.clicks(quiet) == artifacts.clicks(audio) > 0


class TestSilenceNoise:
    def pauses(self, level, rate=RATE, gain=1.0):
        """A tone of a second, and a second of noise at a level in dB of the mean power of both."""
        tone = sine(220.0, rate, level=2**0.5).samples  # of power 1
        hiss = noise(1.0, math.sqrt(0.5) * 10 ** (level / 20), rate).samples
        return Audio(np.concatenate([tone, hiss]) * np.float32(0.1 * gain), rate)

    @pytest.mark.parametrize(("source", "output"), [(-70.0, -40.0), (-60.0, -20.0), (-55.0, -65.0)])
    @pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
    @pytest.mark.parametrize("gain", [0.2, 1.0])
    def test_is_the_difference(self, source, output, rate, gain):
        found = artifacts.silence_noise(self.pauses(source), self.pauses(output, rate, gain))
        assert found == pytest.approx(output - source, abs=0.3)

    def test_of_a_copy(self):
        source = self.pauses(-60.0)
        assert artifacts.silence_noise(source, source) == 0

    def test_digital_silence_is_no_quieter_than_can_be_heard(self):
        source = self.pauses(-200.0)
        assert artifacts.silence_noise(source, self.pauses(-50.0)) == pytest.approx(30, abs=0.3)
        assert artifacts.silence_noise(source, self.pauses(-100.0)) == 0

    def test_an_offset_is_no_noise(self):
        source = self.pauses(-70.0)
        moved = Audio(source.samples + np.float32(0.01), RATE)
        assert artifacts.silence_noise(source, moved) == pytest.approx(0, abs=0.1)

    def test_lengths_may_differ(self):
        source, output = self.pauses(-60.0), self.pauses(-40.0)
        longer = Audio(np.concatenate([output.samples, output.samples[-500:]]), RATE)
        assert artifacts.silence_noise(source, longer) == pytest.approx(20, abs=0.3)

    def test_nan_without_silence(self):
        assert math.isnan(artifacts.silence_noise(sine(220.0), sine(220.0)))


class TestAboveBand:
    @pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
    def test_of_a_band_limited_copy(self, rate):
        source = sing(TENOR, 4, 16_000)
        assert artifacts.above_band(source, rounded(resample(source, rate))) < -75

    @pytest.mark.parametrize("level", [-20.0, -30.0, -50.0])
    @pytest.mark.parametrize("own_rate", [True, False])
    def test_of_hiss_at_a_known_level(self, level, own_rate):
        """Also where the source was 16 kHz once, but its file is not any more."""
        source = sing(TENOR, 4, 16_000)
        output = resample(source, RATE)
        hiss = signal.sosfilt(signal.butter(12, 9000, "high", output="sos", fs=RATE), noise(output.seconds).samples)
        hiss *= 10 ** (level / 20) * np.sqrt(np.mean(output.samples**2) / np.mean(hiss**2))
        hissing = Audio((output.samples + hiss).astype(np.float32), RATE)
        found = artifacts.above_band(source if own_rate else rounded(output), hissing)
        assert found == pytest.approx(level, abs=0.3)

    def test_nothing_is_above_a_full_band(self):
        assert artifacts.above_band(noise(1.0), noise(1.0, seed=1)) == -80


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

    @pytest.mark.parametrize("vibrato", [0.0, 50.0])
    @pytest.mark.parametrize("snr", [0.0, 20.0, 40.0])
    @pytest.mark.parametrize(("f0", "rate"), [(70, 24_000), (110, 8_000), (220, 24_000), (330, 44_100), (440, 16_000)])
    def test_is_the_noise_that_was_added(self, f0, rate, snr, vibrato):
        audio, curve = self.tone(f0, rate, snr, vibrato)
        expected = decibels(1 / (1 + 10 ** (snr / 10)))
        assert artifacts.aperiodicity(audio, curve) == pytest.approx(expected, abs=0.8)

    def test_of_a_clean_tone_and_of_noise(self):
        audio, curve = self.tone(220, RATE, 100, 0.0)
        assert artifacts.aperiodicity(audio, curve) < -55
        assert artifacts.aperiodicity(noise(1.5), curve) == pytest.approx(0, abs=0.5)

    def test_where_it_is_voiced(self):
        audio, curve = self.tone(220, RATE, 20, 0.0)
        audio.samples[RATE // 2 : RATE] = noise(0.5).samples
        curve[47:103] = 0
        assert artifacts.aperiodicity(audio, curve) == pytest.approx(decibels(1 / 101), abs=0.5)

    def test_of_breath(self):
        sung = [rendition(singer, 5) for singer in SINGERS]
        alto, bass, soprano, tenor = [artifacts.aperiodicity(Audio(one.samples, one.rate), one.f0) for one in sung]
        assert soprano > max(alto, bass, tenor) + 8  # who is 19 dB breathier than any

    @pytest.mark.parametrize("count", [0, 4, 100])
    def test_nan_without_voice(self, count):
        assert math.isnan(artifacts.aperiodicity(noise(1.0), np.zeros(count)))


class TestGlobalVariance:
    def smoothed(self, audio, frames):
        """The same with an envelope that moves slower."""
        _, _, spectra = signal.stft(audio.samples, audio.rate, nperseg=960, noverlap=720)
        power = np.abs(spectra) ** 2
        envelope = ndimage.uniform_filter1d(np.log(power + 1e-12), 25, axis=0) - np.log(power.mean(axis=0) + 1e-12)
        slow = ndimage.gaussian_filter1d(envelope, frames, axis=1)
        _, samples = signal.istft(spectra * np.exp((slow - envelope) / 2), audio.rate, nperseg=960, noverlap=720)
        return Audio(samples[: len(audio.samples)].astype(np.float32), audio.rate)

    def test_of_known_cepstra_where_there_is_sound(self, monkeypatch):
        cepstra = np.random.default_rng(0).normal(size=(25, 400)) * np.arange(25, 0, -1)[:, None]
        cepstra[0] = 0
        cepstra[0, 300:] = -10  # 87 dB below
        monkeypatch.setattr(artifacts, "mel_cepstra", lambda audio: cepstra)
        expected = np.mean(10 * np.log10(cepstra[1:9, :300].var(axis=1)))
        assert artifacts.global_variance(noise(1.0)) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("gain", [0.01, 3.0])
    def test_level_is_left_out(self, gain):
        audio = sing(ALTO, 6)
        louder = Audio(audio.samples * np.float32(gain), RATE)
        assert artifacts.global_variance(louder) == pytest.approx(artifacts.global_variance(audio), abs=0.01)

    @pytest.mark.parametrize("singer", SINGERS)
    def test_smoothing_shows(self, singer):
        audio = sing(singer, 6)
        found = [artifacts.global_variance(self.smoothed(audio, frames)) for frames in (0.1, 4, 12)]
        assert found[0] == pytest.approx(artifacts.global_variance(audio), abs=0.1)
        assert found[0] > found[1] + 0.5 > found[2] + 1.5


class TestMeasure:
    def test_of_a_copy(self):
        sung = rendition(TENOR, 7)
        audio = Audio(sung.samples, sung.rate)
        found = artifacts.measure(audio, audio, sung.f0, sung.f0)
        assert list(found) == KEYS
        assert found == dict.fromkeys(KEYS, 0.0) | {"above_band": -80.0}

    @pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100])
    def test_of_a_copy_at_another_rate(self, rate):
        sung = rendition(ALTO, 7)
        low = resample(Audio(sung.samples, sung.rate), rate)
        found = artifacts.measure(low, resample(low, 48_000), sung.f0, sung.f0)
        assert found["clipped"] == found["clicks"] == 0
        assert found["above_band"] < -75
        assert found["silence_noise"] == pytest.approx(0, abs=0.3)
        assert found["aperiodicity"] == pytest.approx(0, abs=0.3)
        assert found["global_variance"] == pytest.approx(0, abs=0.3)

    @pytest.mark.parametrize("length", [0, 1, 100, 2_000, 2_500, 24_000])
    @pytest.mark.parametrize("value", [0.0, 0.5])
    def test_of_next_to_nothing(self, length, value):
        source, curve = sing(BASS, 7), np.full(length // 240, 110.0)
        output = Audio(np.full(length, value, np.float32), RATE)
        found = artifacts.measure(source, output, curve, curve)
        assert list(found) == KEYS
        assert not any(math.isinf(score) for score in found.values())
        if not value:
            assert math.isnan(found["clicks"])
            assert math.isnan(found["above_band"])
