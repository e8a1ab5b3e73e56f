"""f0, voicing, loudness and timing errors of an output against its source.

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
from svc.utils.units import hop_samples

Curve = NDArray[np.float64]  # (N,) Hz every 10 ms, 0 where unvoiced
Scores = dict[str, float]

FMIN, FMAX = 65.0, 1100.0  # Hz
TOLERANCE = 50.0  # cents
GROSS = 0.2  # of f0, beyond which an error is gross (Chu and Alwan 2009)
QUIET = 60.0  # dB below the loudest frame: the floor of the loudness curves
MAX_LAG = 50  # frames


def praat(audio: Audio) -> Curve:
    """Praat's autocorrelation pitch tracker (Boersma 1993)."""
    sound = import_optional("parselmouth").Sound(audio.samples.astype(np.float64), audio.rate)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=FMIN, pitch_ceiling=FMAX)
    times = (np.arange(len(audio.samples) // hop_samples(audio.rate)) + 0.5) / 100
    return np.nan_to_num(np.array([pitch.get_value_at_time(time) for time in times], dtype=np.float64))


def pyin(audio: Audio) -> Curve:
    """Probabilistic YIN (Mauch and Dixon 2014)."""
    hop = hop_samples(audio.rate)
    count = len(audio.samples) // hop
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
    return np.where(voiced, f0, 0.0)[:count]


def crepe(audio: Audio) -> Curve:
    """CREPE as the voice uses it (Kim et al. 2018). Not independent: it agrees with its own mistakes."""
    from svc.config import Config
    from svc.features import extract, f0

    config = Config().features.f0
    count = len(audio.samples) // hop_samples(audio.rate)
    pitch, periodicity = f0.track(audio, count, config, lambda _done: None)
    return np.where(f0.voicing(periodicity, extract.measure_loudness(audio), config), pitch, 0.0).astype(np.float64)


TRACKERS: dict[str, Callable[[Audio], Curve]] = {"praat": praat, "pyin": pyin, "crepe": crepe}


def load_tracker(name: str) -> Callable[[Audio], Curve]:
    """f0 tracker by name: ``praat``, ``pyin`` or ``crepe``.

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

    Args:
        output_f0: (N,) Hz, 0 where unvoiced.
        reference_f0: (N,) Hz, likewise.

    Returns:
        ``shift`` (cents, the median difference where both are voiced), ``f0_rmse`` and ``f0_median`` (cents,
        after the shift, where both are voiced), ``f0_over50`` (share of those frames off by more than 50 cents),
        ``vuv_error`` (share of all frames voiced in only one of the two), ``raw_pitch_accuracy`` (share of the voiced
        frames of the reference that are within 50 cents, by mir_eval); ``log_f0_pcc`` and ``f0_corr`` (Pearson
        correlation of log f0, and of f0 in Hz, where both are voiced: LogF0PCC, F0CORR), ``gpe`` (share of the frames
        voiced in both that are off by more than 20 % after the shift: GPE) and ``ffe`` (share of all frames with such
        an error or a voicing error: FFE). The voicing error is the VDE. NaN where there is nothing to compare.
    """
    import mir_eval

    count = min(len(output_f0), len(reference_f0))
    output_f0, reference_f0 = output_f0[:count], reference_f0[:count]
    both = (output_f0 > 0) & (reference_f0 > 0)
    vuv_error = float(np.mean((output_f0 > 0) != (reference_f0 > 0))) if count else math.nan
    if not both.any():
        names = ("shift", "f0_rmse", "f0_median", "f0_over50", "log_f0_pcc", "f0_corr", "gpe")
        accuracy = 0.0 if (reference_f0 > 0).any() else math.nan
        voicing = {"vuv_error": vuv_error, "ffe": vuv_error, "raw_pitch_accuracy": accuracy}
        return dict.fromkeys(names, math.nan) | voicing
    cents = 1200 * np.log2(output_f0[both] / reference_f0[both])
    shift = float(np.median(cents))
    errors = np.abs(cents - shift)
    shifted = np.where(output_f0 > 0, output_f0 * 2 ** (-shift / 1200), 0.0)
    voiced, reference = shifted[both], reference_f0[both]
    gross = np.abs(voiced / reference - 1) > GROSS
    accuracy = mir_eval.melody.raw_pitch_accuracy(
        (reference_f0 > 0).astype(float),
        mir_eval.melody.hz2cents(reference_f0),
        (shifted > 0).astype(float),
        mir_eval.melody.hz2cents(shifted),
        cent_tolerance=TOLERANCE,
    )
    return {
        "shift": shift,
        "f0_rmse": float(np.sqrt(np.mean(np.square(errors)))),
        "f0_median": float(np.median(errors)),
        "f0_over50": float(np.mean(errors > TOLERANCE)),
        "vuv_error": vuv_error,
        "raw_pitch_accuracy": float(accuracy),
        "log_f0_pcc": _pearson(np.log(voiced), np.log(reference)),
        "f0_corr": _pearson(voiced, reference),
        "gpe": float(gross.mean()),
        "ffe": vuv_error + float(gross.sum()) / count,
    }


def loudness_scores(*, output: Audio, source: Audio) -> Scores:
    """Correlation of A-weighted loudness, gain and time lag of an output against its source.

    Each curve has a floor 60 dB below its loudest frame.

    Returns:
        ``loudness`` (correlation over all frames), ``gain`` (dB, median difference in the loud frames of the source)
        and ``lag`` (ms by which the output is late, in steps of 10 ms up to half a second: the highest correlation).
    """
    later, earlier = _level(output), _level(source)
    count = min(len(later), len(earlier))
    later, earlier = later[:count], earlier[:count]
    if count < 2 or np.ptp(later) == 0 or np.ptp(earlier) == 0:
        return dict.fromkeys(("loudness", "gain", "lag"), math.nan)
    loud = earlier > earlier.max() - QUIET / 2
    lags = range(-min(MAX_LAG, count // 2), min(MAX_LAG, count // 2) + 1)
    correlations = [
        _correlation(later[max(0, lag) : count + min(0, lag)], earlier[max(0, -lag) : count - max(0, lag)])
        for lag in lags
    ]
    return {
        "loudness": _correlation(later, earlier),
        "gain": float(np.median((later - earlier)[loud])),
        "lag": 10.0 * lags[int(np.argmax(correlations))],
    }


def _level(audio: Audio) -> Curve:
    level = measure_loudness(audio).astype(np.float64)
    return np.maximum(level, level.max(initial=-np.inf) - QUIET)


def _pearson(a: Curve, b: Curve) -> float:
    """NaN where one of the two is constant."""
    return _correlation(a, b) if min(np.ptp(a), np.ptp(b)) > 0 else math.nan


def _correlation(a: Curve, b: Curve) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else 0.0
