"""The baseline reaches the target's pitch and colour, and keeps everything else."""

from functools import lru_cache

import librosa
import numpy as np
import pytest

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.evaluation import baselines

ALTO, BASS, SOPRANO, TENOR = SINGERS


@lru_cache
def steady(speaker, median, rate=24_000, seed=0):
    """A phrase on one note, and its true melody."""
    song = phrase(seed)
    rendition = render(speaker, song, rate, f0=np.full(song.frames, median))
    return Audio(rendition.samples, rate), rendition.f0


@lru_cache
def spectrum_of(speaker, median):
    recordings, f0s = zip(*(steady(speaker, median, seed=seed) for seed in (1, 2, 3)), strict=True)
    return baselines.measure_speaker(recordings, f0s)


def median(audio, voiced):
    """By autocorrelation, in Hz, where the source is voiced."""
    hop = audio.rate // 100
    f0 = librosa.yin(audio.samples, fmin=65, fmax=900, sr=audio.rate, frame_length=8 * hop, hop_length=hop)
    return np.median(f0[: len(voiced)][voiced])


def colour(audio, top):
    """Mean level of 40 bands from 100 Hz to a top in dB where it is loud, without consonants; the mean left out."""
    bands = librosa.feature.melspectrogram(y=audio.samples, sr=audio.rate, n_mels=40, fmin=100, fmax=top)
    energy = bands.sum(axis=0)
    level = 10 * np.log10(bands[:, energy >= np.median(energy)].mean(axis=1))
    return level - level.mean()


class TestMeasureSpeaker:
    def test_median_of_all_voiced_frames(self):
        recordings = [steady(TENOR, 150.0)[0]] * 2
        f0s = [np.array([0, 100, 0, 200.0]), np.array([0, 300, 400, 500, 0.0])]
        measured = baselines.measure_speaker(recordings, f0s)
        assert measured.f0 == 300
        assert measured.spectrum.shape == (1025,)

    @pytest.mark.parametrize("frequency", [500.0, 3000.0])
    def test_spectrum_of_a_tone(self, frequency):
        """At its frequency, the same at any rate and level, every recording counting alike."""
        spectra = []
        for rate, gain in ((24_000, 0.5), (48_000, 0.05)):
            tone = gain * np.sin(2 * np.pi * frequency * np.arange(rate) / rate)
            spectra.append(baselines.measure_speaker([Audio(tone.astype(np.float32), rate)], [np.zeros(100)]).spectrum)
            middle = np.sum(spectra[-1] * np.arange(1025)) * 24_000 / 2048
            assert middle == pytest.approx(frequency, abs=10)
            assert spectra[-1].sum() == pytest.approx(1)
        assert spectra[1] == pytest.approx(spectra[0], abs=1e-3)


@pytest.mark.parametrize("rate", [16_000, 44_100])
class TestShiftAndEqualise:
    @pytest.fixture(params=[(BASS, 110.0, ALTO, 220.0), (ALTO, 250.0, TENOR, 160.0)])
    def pair(self, request, rate):
        speaker, own, other, wanted = request.param
        return *steady(speaker, own, rate), spectrum_of(other, wanted), own, steady(other, wanted, rate, seed=7)[0]

    def test_pitch(self, pair):
        source, melody, target, own, _ = pair
        assert 1200 * np.log2(median(source, melody > 0) / own) == pytest.approx(0, abs=10)
        output = baselines.shift_and_equalise(source, melody, target)
        assert 1200 * np.log2(median(output, melody > 0) / target.f0) == pytest.approx(0, abs=10)

    def test_colour(self, pair):
        """As far up as the shifted source goes, towards a phrase that the portrait does not know."""
        source, melody, target, own, other = pair
        top = 0.9 * min(source.rate / 2, 12_000.0) * min(1.0, target.f0 / own)
        output = baselines.shift_and_equalise(source, melody, target)
        before, after = (np.std(colour(audio, top) - colour(other, top)) for audio in (source, output))
        assert after < 0.6 * before

    def test_what_is_kept(self, pair):
        source, melody, target, _, _ = pair
        output = baselines.shift_and_equalise(source, melody, target)
        assert output.rate == source.rate
        assert output.samples.shape == source.samples.shape
        assert output.samples.dtype == np.float32
        assert np.std(output.samples) == pytest.approx(np.std(source.samples), rel=1e-3)

    def test_itself_moves_by_nothing(self, rate):
        """Timing: the output is not late."""
        source, melody = steady(TENOR, 150.0, rate)
        output = baselines.shift_and_equalise(source, melody, baselines.measure_speaker([source], [melody]))
        assert np.corrcoef(source.samples, output.samples)[0, 1] > 0.95

    def test_unvoiced_sources_and_targets(self, rate):
        """No pitch to move by: the colour alone."""
        hiss = Audio(np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32), rate)
        voiced, unvoiced = spectrum_of(BASS, 98.0), baselines.measure_speaker([hiss], [np.zeros(100)])
        output = baselines.shift_and_equalise(hiss, np.zeros(100), voiced)
        assert output.samples.shape == (rate,)
        assert np.std(output.samples) == pytest.approx(0.1, rel=0.01)
        source, melody = steady(TENOR, 150.0, rate)
        kept = baselines.shift_and_equalise(source, melody, unvoiced)
        assert median(kept, melody > 0) == pytest.approx(150, rel=0.006)
