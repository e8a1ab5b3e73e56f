"""The measures against signals of which the answer is known."""

import math

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.data.synthetic import SINGERS, phrase, render
from svc.evaluate import measures

RATE = 24_000


def tone(f0, rate=RATE):
    """A tone of 20 harmonics that fall by 6 dB an octave, from f0 (N,) every 10 ms; each frame has one pitch."""
    phase = 2 * np.pi * np.cumsum(np.repeat(np.asarray(f0, dtype=np.float64), rate // 100)) / rate
    return Audio((0.1 * sum(np.sin(k * phase) / k for k in range(1, 21))).astype(np.float32), rate)


def noise(seconds, seed=0):
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    return Audio(samples.astype(np.float32), RATE)


def cents(sung, asked):
    return 1200 * np.log2(sung / asked)


class TestCepstralDistance:
    def test_of_a_recording_with_itself(self):
        audio = noise(0.5)
        assert measures.cepstral_distance(output=audio, truth=audio) == 0

    @pytest.mark.parametrize("gain", [0.25, 4.0])
    def test_level_is_left_out(self, gain):
        truth = noise(0.5)
        louder = Audio(truth.samples * np.float32(gain), RATE)
        assert measures.cepstral_distance(output=louder, truth=truth) < 1e-3

    @pytest.mark.parametrize("order", [1, 3, 24])
    def test_of_cepstra_moved_by_a_known_step(self, order, monkeypatch):
        right = np.random.default_rng(0).normal(size=(25, 40))
        moved = right.copy()
        moved[order] += 0.1
        moved[0] += 3  # the level
        told = {1: moved, 2: right}
        monkeypatch.setattr(measures, "mel_cepstra", lambda audio: told[audio.rate])
        output, truth = (Audio(np.zeros(0, dtype=np.float32), rate) for rate in (1, 2))
        # A spectrum of c0 + 2 Σ c_k cos: 0.1 neper of c_k is a ripple of 0.2 neper.
        assert measures.cepstral_distance(output=output, truth=truth) == pytest.approx(
            10 / math.log(10) * math.sqrt(2) * 0.2
        )

    @pytest.mark.parametrize(("ripple", "periods"), [(6.0, 1.0), (6.0, 3.5), (-3.0, 2.0)])
    def test_of_a_filter_is_its_rms(self, ripple, periods):
        import librosa

        truth = noise(2.0)
        bins = np.fft.rfftfreq(len(truth.samples), 1 / RATE)
        low, high = librosa.hz_to_mel([60.0, RATE / 2])
        place = np.clip((librosa.hz_to_mel(bins) - low) / (high - low), 0, 1)
        gain = 10 ** (ripple * np.cos(2 * np.pi * periods * place) / 20)
        coloured = np.fft.irfft(np.fft.rfft(truth.samples) * gain, len(truth.samples))
        found = measures.cepstral_distance(output=Audio(coloured.astype(np.float32), RATE), truth=truth)
        assert found == pytest.approx(abs(ripple) / math.sqrt(2), rel=0.06)

    def test_only_where_the_truth_sings(self):
        truth, other = noise(1.0), tone(np.full(100, 220.0))
        half = RATE // 2
        truth.samples[half:] *= 1e-4
        output = Audio(np.concatenate([truth.samples[:half], other.samples[half:]]), RATE)
        assert measures.cepstral_distance(output=output, truth=truth) < 0.3  # the window at the seam
        assert measures.cepstral_distance(output=truth, truth=output) > 3


class TestPitchError:
    asked = np.array([0, 0, 200, 220, 240, 260, 300, 400, 0, 0], dtype=np.float64)

    def test_of_itself(self):
        assert measures.pitch_error(sung=self.asked, asked=self.asked) == measures.PitchError(0.0, 0.0, 0.0)

    @pytest.mark.parametrize("shift", [-1200, -49, 10, 51, 700])
    def test_of_a_shift(self, shift):
        found = measures.pitch_error(sung=self.asked * 2 ** (shift / 1200), asked=self.asked)
        assert found.median == pytest.approx(abs(shift), abs=1e-9)
        assert found.over_50 == (abs(shift) > 50)
        assert found.voicing == 0

    def test_shares(self):
        sung = self.asked.copy()
        sung[2] *= 2 ** (60 / 1200)  # one of the five voiced in both
        sung[[3, 4, 5, 6]] *= 2 ** (-20 / 1200)
        sung[7] = 0
        sung[[0, 1]] = 150
        found = measures.pitch_error(sung=sung, asked=self.asked)
        assert found.median == pytest.approx(20)
        assert found.over_50 == pytest.approx(1 / 5)
        assert found.voicing == pytest.approx(3 / 10)

    def test_without_overlap(self):
        found = measures.pitch_error(sung=np.where(self.asked > 0, 0.0, 100.0), asked=self.asked)
        assert math.isnan(found.median)
        assert math.isnan(found.over_50)
        assert found.voicing == 1

    def test_of_nothing(self):
        assert math.isnan(measures.pitch_error(sung=np.zeros(0), asked=np.zeros(0)).voicing)


class TestTracking:
    def test_a_tone(self):
        sung = measures.track_pitch(tone(np.full(50, 220.0)))
        assert sung.shape == (50,)
        assert (sung[3:-3] > 0).all()
        assert np.abs(cents(sung[3:-3], 220)).max() < 5

    def test_a_step_where_it_is(self):
        asked = np.repeat([220.0, 247.0], 100)
        sung = measures.track_near(tone(asked), asked)
        assert sung.shape == (200,)
        np.testing.assert_allclose(sung[3:98], 220, rtol=0.003)
        np.testing.assert_allclose(sung[102:-3], 247, rtol=0.003)
        assert abs(int(np.argmax(sung > 233)) - 100) <= 1

    @pytest.mark.parametrize("factor", [0.5, 2.0])
    def test_octave_errors_show(self, factor):
        asked = np.full(50, 220.0)
        found = measures.pitch_error(sung=measures.track_near(tone(asked * factor), asked), asked=asked)
        assert found.median == pytest.approx(1200, abs=5)
        assert found.over_50 == 1

    @pytest.mark.parametrize("asked", [100.0, 900.0])
    def test_at_the_ends_of_the_range(self, asked):
        """Also without a warning that the window is too short."""
        sung = measures.track_near(tone(np.full(40, asked)), np.full(40, asked))
        assert np.abs(cents(sung[4:-4], asked)).max() < 5

    def test_silence_for_no_melody(self):
        sung = measures.track_near(Audio(np.zeros(RATE // 5, dtype=np.float32), RATE), np.zeros(20))
        assert sung.shape == (20,)
        assert not sung.any()


def test_singers_are_named_in_phrases_never_heard():
    def sing(singer, seed):
        return Audio(render(singer, phrase(seed), RATE).samples, RATE)

    pair = (SINGERS[1], SINGERS[3])
    heard = [(singer, seed) for singer in pair for seed in range(4)]
    classifier = measures.SingerClassifier([sing(*one) for one in heard], [singer.name for singer, _ in heard])
    for singer in pair:
        assert [classifier.name(sing(singer, seed)) for seed in range(100, 104)] == [singer.name] * 4
