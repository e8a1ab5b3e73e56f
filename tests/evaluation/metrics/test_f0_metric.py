"""Known shifts, detunings, voicing errors, gains and offsets come back as their known values."""

import math
import sys

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import DataError
from svc.evaluation.metrics import f0 as f0_metric

RATE = 24_000


def up(f0, cents):
    return f0 * 2 ** (np.asarray(cents) / 1200)


def cents(output, reference):
    return 1200 * np.log2(output / reference)


def tone(f0, rate=RATE):
    """10 harmonics at f0 (N,) every 10 ms."""
    phase = 2 * np.pi * np.cumsum(np.repeat(np.asarray(f0, dtype=np.float64), rate // 100)) / rate
    return Audio((0.1 * sum(np.sin(k * phase) / k for k in range(1, 11))).astype(np.float32), rate)


def score(output, reference):
    return f0_metric.f0_scores(output_f0=output, reference_f0=reference)


class TestF0Scores:
    reference = np.concatenate([np.zeros(5), up(220.0, np.linspace(0, 700, 40)), np.zeros(5)])  # 40 of 50 voiced
    voiced = np.flatnonzero(reference)

    @pytest.mark.parametrize("shift", [-1200, 51])
    def test_constant_shift(self, shift):
        scores = score(up(self.reference, shift), self.reference)
        errors = dict.fromkeys(("f0_rmse", "f0_median", "f0_over50", "vuv_error", "gpe", "ffe"), 0)
        agreement = dict.fromkeys(("raw_pitch_accuracy", "log_f0_pcc", "log_f0_pcc_notes", "f0_corr"), 1)
        assert scores == pytest.approx({"shift": shift} | errors | agreement, abs=1e-9)

    @pytest.mark.parametrize(("off", "wrong", "shift"), [(40, False, 0), (-60, True, 0), (1200, True, -1200)])
    def test_detuned_frames(self, off, wrong, shift):
        """10 of 40 frames, octave jumps among them: the root of a quarter of the squares."""
        output = up(self.reference, shift)
        output[self.voiced[10:20]] = up(output[self.voiced[10:20]], off)
        scores = score(output, self.reference)
        assert scores["shift"] == pytest.approx(shift)
        assert scores["f0_rmse"] == pytest.approx(abs(off) / 2)
        assert scores["f0_median"] == pytest.approx(0, abs=1e-9)
        assert scores["f0_over50"] == wrong * 0.25
        assert scores["raw_pitch_accuracy"] == 1 - wrong * 0.25
        assert scores["vuv_error"] == 0

    @pytest.mark.parametrize(("missed", "invented"), [(0, 3), (8, 0), (30, 5)])
    def test_voicing_errors_count_as_such_alone(self, missed, invented):
        """A zero is no pitch: it enters no error in cents."""
        output = up(self.reference, 100)
        output[self.voiced[:missed]] = 0
        output[:invented] = 150
        scores = score(output, self.reference)
        assert scores["vuv_error"] == pytest.approx((missed + invented) / 50)
        assert scores["shift"] == pytest.approx(100)
        assert scores["f0_rmse"] == pytest.approx(0, abs=1e-9)
        assert scores["raw_pitch_accuracy"] == pytest.approx(1 - missed / 40)

    @pytest.mark.parametrize("octave", [1, 0.5])
    def test_measures_of_other_papers(self, octave):
        """Octaves 0 1 2 come out as 0 1 1, and a voiced frame is lost: worked out by hand."""
        reference, output = np.array([100.0, 200.0, 400.0, 300.0]), np.array([100.0, 200.0, 200.0, 0.0])
        scores = score(octave * output, reference)
        assert scores["log_f0_pcc"] == pytest.approx(3**0.5 / 2)
        assert scores["f0_corr"] == pytest.approx(2 / 7**0.5)
        assert scores["gpe"] == pytest.approx(1 / 3)
        assert scores["vuv_error"] == 1 / 4
        assert scores["ffe"] == 2 / 4

    @pytest.mark.parametrize(("frames", "expected"), [(9, 1), (10, 17 / 385**0.5)])
    def test_octave_errors_count_in_notes_where_they_last(self, frames, expected):
        """Octaves 0 1 2 0 of ten frames each come out as 0 1 2 −2, by hand, or with less than a note of −2."""
        reference = 100.0 * 2 ** np.repeat([0, 1, 2, 0], 10)
        output = reference.copy()
        output[30 : 30 + frames] /= 4
        scores = score(output, reference)
        assert scores["log_f0_pcc_notes"] == pytest.approx(expected)
        assert scores["log_f0_pcc"] < 0.9

    def test_notes(self):
        """Ten voiced frames, without leaps, are one."""
        f0 = np.concatenate([np.zeros(2), np.full(9, 200.0), [0], np.full(5, 200.0), np.full(10, 239.0), np.zeros(1)])
        assert np.flatnonzero(f0_metric.notes(f0)).tolist() == list(range(17, 27))
        f0[17:27] = 237.0  # 294 cents: one note with the five before
        assert np.flatnonzero(f0_metric.notes(f0)).tolist() == list(range(12, 27))
        assert f0_metric.notes(np.zeros(0)).shape == (0,)

    @pytest.mark.parametrize(("ratio", "gross"), [(1.19, 0), (1.21, 0.25), (0.81, 0), (0.79, 0.25)])
    def test_gross_errors_are_beyond_a_fifth(self, ratio, gross):
        scores = score(200 * np.array([1, 1, 1, ratio]), np.full(4, 200.0))
        assert (scores["gpe"], scores["ffe"]) == (gross, gross)
        assert math.isnan(scores["log_f0_pcc"])  # the reference is constant

    @pytest.mark.parametrize(
        ("output", "reference", "vuv_error", "accuracy"),
        [
            ([0, 0, 0, 0], [0, 0, 0, 0], 0, math.nan),
            ([0, 0, 0, 0], [0, 200, 200, 0], 0.5, 0),
            ([0, 200, 0, 0], [0, 0, 0, 0], 0.25, math.nan),
            ([200, 0, 200, 0], [0, 200, 0, 200], 1, 0),
            ([], [], math.nan, math.nan),
        ],
    )
    def test_nothing_to_compare(self, output, reference, vuv_error, accuracy):
        scores = score(np.array(output, dtype=float), np.array(reference, dtype=float))
        assert [scores[key] for key in ("vuv_error", "raw_pitch_accuracy")] == pytest.approx(
            [vuv_error, accuracy], nan_ok=1
        )
        assert scores["ffe"] == pytest.approx(vuv_error, nan_ok=True)
        others = ("shift", "f0_rmse", "f0_median", "f0_over50", "log_f0_pcc", "log_f0_pcc_notes", "f0_corr", "gpe")
        assert all(math.isnan(scores[key]) for key in others)


class TestLoudnessScores:
    source = Audio(render(SINGERS[1], phrase(0)).samples, RATE)

    def score(self, samples):
        return f0_metric.loudness_scores(output=Audio(samples.astype(np.float32), RATE), source=self.source)

    @pytest.mark.parametrize("late", [-300, 30])
    def test_lag(self, late):
        scores = self.score(np.roll(np.pad(self.source.samples, (0, RATE // 2)), late * RATE // 1000))
        assert scores["lag"] == late
        assert scores["loudness"] < 0.99

    @pytest.mark.parametrize("length", [0, RATE])
    def test_silence(self, length):
        silence = Audio(np.zeros(length, dtype=np.float32), RATE)
        for output, source in ((silence, self.source), (self.source, silence), (silence, silence)):
            scores = f0_metric.loudness_scores(output=output, source=source)
            assert all(math.isnan(scores[key]) for key in ("loudness", "lag"))


class TestTrackers:
    @pytest.fixture(params=[("praat", 44_100), ("pyin", 16_000)])
    def tracked(self, request):
        name, rate = request.param
        if name == "praat":
            pytest.importorskip("parselmouth")
        return lambda f0: f0_metric.load_tracker(name)(tone(f0, rate))

    def test_a_tone(self, tracked):
        output = tracked(np.full(40, 220.0))
        assert output.shape == (40,)
        assert output.dtype == np.float64
        assert np.abs(cents(output[4:-4], 220)).max() < 8
        silent = tracked(np.zeros(20))
        assert silent.shape == (20,)
        assert not silent.any()


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(DataError, match=r"parselmouth is not installed; run `pip install"):
        f0_metric.praat(tone(np.full(10, 220.0)))


# --- vibrato and glides ---

TIME = np.arange(600) / 100


def note(extent: float, rate: float = 6.0, glide: float = 0.0) -> np.ndarray:
    """f0 around 220 Hz: vibrato in cents, on a glide of so many cents per second to and fro."""
    wave = extent * np.sin(2 * np.pi * rate * TIME) + glide * np.abs(TIME % 2 - 1)
    return 220 * 2 ** (wave / 1200)


def expression(output: np.ndarray, source: np.ndarray) -> dict[str, float]:
    return f0_metric.expression_scores(output_f0=output, source_f0=source)


@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_extent_of_vibrato(kept):
    measured = expression(2 * note(80 * kept), note(80))
    assert measured["vibrato_extent"] == pytest.approx(kept, abs=0.01)
    assert measured["vibrato_rate"] == pytest.approx(0, abs=0.05)


def test_rate_of_vibrato():
    assert expression(note(80, rate=5.0), note(80))["vibrato_rate"] == pytest.approx(1.0, abs=0.1)


def test_glides():
    source = note(0, glide=400)
    assert expression(source / 2, source)["f0_slope"] == pytest.approx(1)
    assert math.isnan(expression(note(0), source)["f0_slope"])
    assert expression(source[::-1].copy(), np.roll(source, 40))["f0_slope"] < 0.7


def test_without_vibrato_there_is_nothing_to_keep():
    assert all(math.isnan(value) for value in expression(note(80), note(0)).values())
    unvoiced = np.zeros(600)
    assert all(math.isnan(value) for value in expression(unvoiced, note(80)).values())
    assert all(math.isnan(value) for value in expression(note(80)[:3], note(80)[:3]).values())
