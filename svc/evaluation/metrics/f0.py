"""f0, voicing, loudness, timing and expression (vibrato, glides) of an output against its source.

The default tracker is Praat's autocorrelation. The voice uses CREPE refined by an autocorrelation, so check important
claims about f0 with ``pyin`` as well.
"""

import math
from collections.abc import Callable

import librosa
import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.errors import DataError
from svc.features.extract import measure_loudness
from svc.utils.optional import import_optional
from svc.utils.units import FRAMES_PER_SECOND, hop_samples

Curve = NDArray[np.float64]  # (N,) Hz every 10 ms, 0 where unvoiced
Scores = dict[str, float]

FMIN, FMAX = 65.0, 1100.0  # Hz
TOLERANCE = 50.0  # cents
GROSS = 0.2  # of f0, beyond which an error is gross (Chu and Alwan 2009)
NOTE_FRAMES, MAX_LEAP = 10, 300.0  # the shortest note, and cents between neighbouring frames of one note
QUIET = 60.0  # dB below the loudest frame: the floor of the loudness curves
MAX_LAG = 50  # frames
WINDOW, STEP = 50, 10  # frames: three periods of vibrato
RATES = np.arange(4.0, 8.01, 0.1)  # Hz
MIN_EXTENT, MIN_SHARE = 15.0, 0.6  # cents, and share of the variance that is one sine: less is no vibrato
SLOPE = 5  # frames between which slopes are measured
MIN_SLOPE = 100.0  # cents per second; what is flatter is no glide

_TIME = np.arange(WINDOW) / FRAMES_PER_SECOND
_TREND, _ = np.linalg.qr(np.vander(_TIME, 3))  # (WINDOW, 3), orthonormal
_WAVES = np.exp(2j * np.pi * RATES[:, None] * _TIME)
_PAIRS = np.stack([_WAVES.imag, _WAVES.real], axis=-1)
_BASES, _TRIANGLES = np.linalg.qr(_PAIRS - _TREND @ (_TREND.T @ _PAIRS))  # (rates, WINDOW, 2), (rates, 2, 2)


def praat(audio: Audio, floor: float = FMIN, ceiling: float = FMAX) -> Curve:
    """Praat's autocorrelation pitch tracker (Boersma 1993), within a range in Hz."""
    sound = import_optional("parselmouth").Sound(audio.samples.astype(np.float64), audio.rate)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=floor, pitch_ceiling=ceiling)
    times = (np.arange(len(audio.samples) // hop_samples(audio.rate)) + 0.5) / 100
    return np.nan_to_num(np.array([pitch.get_value_at_time(time) for time in times], dtype=np.float64))


def pyin(audio: Audio) -> Curve:
    """Probabilistic YIN (Mauch and Dixon 2014)."""
    hop = hop_samples(audio.rate)
    frame = 4 * math.ceil(audio.rate / FMIN / 2)  # two periods of the lowest pitch
    f0, voiced, _ = librosa.pyin(
        np.pad(audio.samples, (frame // 2 - hop // 2, frame)),
        sr=audio.rate,
        fmin=FMIN,
        fmax=FMAX,
        frame_length=frame,
        hop_length=hop,
        center=False,
        resolution=0.05,
        fill_na=0.0,
    )
    return np.where(voiced, f0, 0.0)[: len(audio.samples) // hop]


TRACKERS: dict[str, Callable[[Audio], Curve]] = {"praat": praat, "pyin": pyin}


def load_tracker(name: str) -> Callable[[Audio], Curve]:
    """f0 tracker by name: ``praat`` or ``pyin``.

    Raises:
        DataError: no such tracker, or its library is not installed.
    """
    if name not in TRACKERS:
        raise DataError(f"--f0-tracker {name}: no such tracker; give one of {', '.join(TRACKERS)}")
    if name == "praat":
        import_optional("parselmouth")
    return TRACKERS[name]


def f0_scores(*, output_f0: Curve, reference_f0: Curve) -> Scores:
    """f0 errors of an output after removing one constant shift; frames are compared without time warping.

    Both curves are (N,) Hz, 0 where unvoiced.

    Returns:
        Over frames where both are voiced: ``shift`` (cents, median difference), and after it ``f0_rmse`` and
        ``f0_median`` (cents), ``f0_over50`` (share off by more than 50 cents), ``gpe`` (by more than 20 %),
        ``log_f0_pcc`` and ``f0_corr`` (Pearson correlation of log f0, and of f0 in Hz). Over ``notes`` of both:
        ``log_f0_pcc_notes``. Over all frames: ``vuv_error`` (voiced in only one of the two, VDE) and ``ffe`` (that, or
        a gross error). ``raw_pitch_accuracy``: share of the voiced frames of the reference within 50 cents. NaN where
        there is nothing to compare.
    """
    count = min(len(output_f0), len(reference_f0))
    output_f0, reference_f0 = output_f0[:count], reference_f0[:count]
    both = (output_f0 > 0) & (reference_f0 > 0)
    output, reference = output_f0[both], reference_f0[both]
    cents = 1200 * np.log2(output / reference)
    shift = float(np.median(cents)) if both.any() else math.nan
    errors, shifted = np.abs(cents - shift), output * 2 ** (-shift / 1200)
    gross = np.abs(shifted / reference - 1) > GROSS
    wrong = (output_f0 > 0) != (reference_f0 > 0)
    sustained = (notes(output_f0) & notes(reference_f0))[both]
    return {
        "shift": shift,
        "f0_rmse": _mean(np.square(errors)) ** 0.5,
        "f0_median": float(np.median(errors)) if both.any() else math.nan,
        "f0_over50": _mean(errors > TOLERANCE),
        "vuv_error": _mean(wrong),
        "raw_pitch_accuracy": _share(errors < TOLERANCE, int(np.count_nonzero(reference_f0 > 0))),
        "log_f0_pcc": _correlation(np.log(shifted), np.log(reference)),
        "log_f0_pcc_notes": _correlation(np.log(shifted[sustained]), np.log(reference[sustained])),
        "f0_corr": _correlation(shifted, reference),
        "gpe": _mean(gross),
        "ffe": _share(wrong, count) + _share(gross, count),
    }


def notes(f0: Curve) -> NDArray[np.bool_]:
    """Frames (N,) of notes in f0 (N,) in Hz: voiced for 100 ms and more, without a leap of 3 semitones in 10 ms.

    Trackers jump octaves in consonants: with Praat 1.5 % of the voiced frames, outside of notes, take 8 points from the
    correlation of songs of 4 s (figures in recipes/LOG.md). An octave error that lasts is a note, and counts.
    """
    cents = 1200 * np.log2(np.maximum(f0, 1.0))
    joined = (f0[1:] > 0) & (f0[:-1] > 0) & (np.abs(np.diff(cents)) <= MAX_LEAP)
    stretch = np.cumsum(np.append(True, ~joined))
    return (f0 > 0) & (np.bincount(stretch)[stretch] >= NOTE_FRAMES)


def loudness_scores(*, output: Audio, source: Audio) -> Scores:
    """Correlation of A-weighted loudness, and time lag of an output against its source.

    Each curve has a floor 60 dB below its loudest frame.

    Returns:
        ``loudness`` (correlation over all frames) and ``lag`` (ms by which the output is late, in steps of 10 ms up to
        half a second: the highest correlation).
    """
    later, earlier = _level(output), _level(source)
    count = min(len(later), len(earlier))
    later, earlier = later[:count], earlier[:count]
    correlation = _correlation(later, earlier)
    if math.isnan(correlation):
        return {"loudness": math.nan, "lag": math.nan}
    limit = min(MAX_LAG, count // 2)
    correlations = [
        _correlation(later[max(0, lag) : count + min(0, lag)], earlier[max(0, -lag) : count - max(0, lag)])
        for lag in range(-limit, limit + 1)
    ]
    return {"loudness": correlation, "lag": 10.0 * (int(np.nanargmax(correlations)) - limit)}


def expression_scores(*, output_f0: Curve, source_f0: Curve) -> Scores:
    """How an output keeps the expression of its source, from f0 (N,) in Hz, 0 where unvoiced.

    Returns:
        ``vibrato_extent``: median ratio of the extents of vibrato, output to source; ``vibrato_rate``: median
        difference of their rates in Hz; ``f0_slope``: correlation of the slopes of f0 in glides of the source. NaN
        where the source has no vibrato or no glides.
    """
    count = min(len(output_f0), len(source_f0))
    output, source = (np.log2(np.maximum(f0[:count], 1)) * 1200 for f0 in (output_f0, source_f0))
    both = (output_f0[:count] > 0) & (source_f0[:count] > 0)
    ratios, differences = [], []
    for start in range(0, count - WINDOW + 1, STEP):
        part = slice(start, start + WINDOW)
        if not both[part].all():
            continue
        rate, extent, share = _vibrato(source[part])
        if extent >= MIN_EXTENT and share >= MIN_SHARE:
            output_rate, output_extent, _ = _vibrato(output[part])
            ratios.append(output_extent / extent)
            differences.append(abs(output_rate - rate))
    return {
        "vibrato_extent": float(np.median(ratios)) if ratios else math.nan,
        "vibrato_rate": float(np.median(differences)) if ratios else math.nan,
        "f0_slope": _slope_correlation(output, source, both),
    }


def _vibrato(cents: NDArray[np.float64]) -> tuple[float, float, float]:
    """Rate in Hz and extent in cents of the best sine in (WINDOW,), and its share of the variance around a trend."""
    rest = cents - _TREND @ (_TREND.T @ cents)
    parts = np.einsum("rtk,t->rk", _BASES, rest)
    explained = np.square(parts).sum(axis=1)
    best = int(explained.argmax())
    extent = np.hypot(*np.linalg.solve(_TRIANGLES[best], parts[best]))
    return float(RATES[best]), float(extent), float(explained[best] / max(np.square(rest).sum(), 1e-9))


def _slope_correlation(output: NDArray[np.float64], source: NDArray[np.float64], both: NDArray[np.bool_]) -> float:
    slopes = [(curve[SLOPE:] - curve[:-SLOPE]) * FRAMES_PER_SECOND / SLOPE for curve in (output, source)]
    inside = np.lib.stride_tricks.sliding_window_view(both, SLOPE + 1).all(axis=1) if len(both) > SLOPE else both[:0]
    gliding = inside & (np.abs(slopes[1]) >= MIN_SLOPE)
    return _correlation(slopes[0][gliding], slopes[1][gliding]) if gliding.sum() >= WINDOW else math.nan


def _level(audio: Audio) -> Curve:
    level = measure_loudness(audio).astype(np.float64)
    return np.maximum(level, level.max(initial=-np.inf) - QUIET)


def _mean(values: Curve | NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _share(mask: NDArray[np.bool_], whole: int) -> float:
    """How often a mask holds, relative to a number of frames; NaN relative to none."""
    return float(np.count_nonzero(mask) / whole) if whole else math.nan


def _correlation(a: Curve, b: Curve) -> float:
    """Pearson correlation; NaN where one of the two is constant, or empty."""
    return float(np.corrcoef(a, b)[0, 1]) if len(a) and min(np.ptp(a), np.ptp(b)) > 0 else math.nan
