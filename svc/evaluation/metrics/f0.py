"""Melody, voicing, loudness and timing of an output against its source, heard by a tracker that it was not sung from.

The voice's own is CREPE, made exact by an autocorrelation; that of Praat, the default, is of the same kind. What is
claimed of a tracker had better hold by ``pyin``, too.
"""

import math
from collections.abc import Callable

import librosa
import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.errors import DataError
from svc.features.extract import measure_loudness
from svc.utils.optional import extra
from svc.utils.units import hop_samples

Curve = NDArray[np.float64]  # (N,) Hz every 10 ms, 0 where unvoiced
Scores = dict[str, float]

FMIN, FMAX = 65.0, 1100.0  # Hz, of a voice
TOLERANCE = 50.0  # cents
QUIET = 60.0  # dB below the loudest frame, where loudness stops to count
REACH = 50  # frames, of the lag


def praat(audio: Audio) -> Curve:
    """By Praat's autocorrelation (Boersma 1993), as in the yardsticks."""
    sound = extra("parselmouth").Sound(audio.samples.astype(np.float64), audio.rate)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=FMIN, pitch_ceiling=FMAX)
    times = (np.arange(len(audio.samples) // hop_samples(audio.rate)) + 0.5) / 100
    return np.nan_to_num(np.array([pitch.get_value_at_time(time) for time in times], dtype=np.float64))


def pyin(audio: Audio) -> Curve:
    """By probabilistic YIN (Mauch and Dixon 2014)."""
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
    """By the tracker that the model itself sings from: it agrees with its own mistakes."""
    from svc.config import Config
    from svc.features import extract, f0

    knobs = Config().features.f0
    count = len(audio.samples) // hop_samples(audio.rate)
    pitch, periodicity = f0.track(audio, count, knobs, lambda _done: None)
    return np.where(f0.voicing(periodicity, extract.measure_loudness(audio), knobs), pitch, 0.0).astype(np.float64)


TRACKERS: dict[str, Callable[[Audio], Curve]] = {"praat": praat, "pyin": pyin, "crepe": crepe}


def tracker(name: str) -> Callable[[Audio], Curve]:
    """A tracker by name.

    Raises:
        DataError: there is none of that name, or its library is missing.
    """
    if name not in TRACKERS:
        raise DataError(f"--pitch {name}: no such tracker; give one of {', '.join(TRACKERS)}")
    if name == "praat":
        extra("parselmouth")
    return TRACKERS[name]


def melody_scores(*, sung: Curve, asked: Curve) -> Scores:
    """Errors of a melody (N,) around its own constant shift from the one asked for (N,); zeros are never pitches.

    Nothing is warped in time: a melody sung late is wrong.

    Returns:
        ``shift`` (cents, the median difference where both are voiced), ``f0_rmse`` and ``f0_median`` (cents,
        after the shift, where both are voiced), ``f0_over50`` (share of those frames off by more than 50 cents),
        ``voicing`` (share of all frames voiced in one alone), ``raw_pitch_accuracy`` (share of the frames voiced in
        the source that are within 50 cents, by mir_eval). NaN where there is nothing to compare.
    """
    import mir_eval

    count = min(len(sung), len(asked))
    sung, asked = sung[:count], asked[:count]
    both = (sung > 0) & (asked > 0)
    voicing = float(np.mean((sung > 0) != (asked > 0))) if count else math.nan
    if not both.any():
        nothing = dict.fromkeys(("shift", "f0_rmse", "f0_median", "f0_over50"), math.nan)
        return nothing | {"voicing": voicing, "raw_pitch_accuracy": 0.0 if (asked > 0).any() else math.nan}
    cents = 1200 * np.log2(sung[both] / asked[both])
    shift = float(np.median(cents))
    errors = np.abs(cents - shift)
    moved = np.where(sung > 0, sung * 2 ** (-shift / 1200), 0.0)
    accuracy = mir_eval.melody.raw_pitch_accuracy(
        (asked > 0).astype(float),
        mir_eval.melody.hz2cents(asked),
        (moved > 0).astype(float),
        mir_eval.melody.hz2cents(moved),
        cent_tolerance=TOLERANCE,
    )
    return {
        "shift": shift,
        "f0_rmse": float(np.sqrt(np.mean(np.square(errors)))),
        "f0_median": float(np.median(errors)),
        "f0_over50": float(np.mean(errors > TOLERANCE)),
        "voicing": voicing,
        "raw_pitch_accuracy": float(accuracy),
    }


def loudness_scores(*, output: Audio, source: Audio) -> Scores:
    """A-weighted loudness of an output against its source, quiet ends cut 60 dB below each one's loudest frame.

    Returns:
        ``loudness`` (correlation over all frames), ``gain`` (dB, median difference where the source is sung) and
        ``lag`` (ms by which the output is late, to 10 ms, within half a second: the highest correlation).
    """
    made, given = _level(output), _level(source)
    count = min(len(made), len(given))
    made, given = made[:count], given[:count]
    if count < 2 or np.ptp(made) == 0 or np.ptp(given) == 0:
        return dict.fromkeys(("loudness", "gain", "lag"), math.nan)
    sung = given > given.max() - QUIET / 2
    lags = range(-min(REACH, count // 2), min(REACH, count // 2) + 1)
    alike = [
        _correlation(made[max(0, lag) : count + min(0, lag)], given[max(0, -lag) : count - max(0, lag)]) for lag in lags
    ]
    return {
        "loudness": _correlation(made, given),
        "gain": float(np.median((made - given)[sung])),
        "lag": 10.0 * lags[int(np.argmax(alike))],
    }


def _level(audio: Audio) -> Curve:
    level = measure_loudness(audio).astype(np.float64)
    return np.maximum(level, level.max(initial=-np.inf) - QUIET)


def _correlation(one: Curve, other: Curve) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale > 0 else 0.0
