"""Voice change, pitch shift and PSOLA resynthesis by Praat (parselmouth), an optional tool of training."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from svc.audio.files import Audio, Samples
from svc.audio.resample import fit_length
from svc.utils.optional import import_optional
from svc.utils.units import semitones_to_ratio

FLOOR, CEILING = 65.0, 900.0  # Hz, range of the pitch analysis
DEFAULT_PITCH = 150.0  # Hz, of a recording in which no pitch is found
SINGING_RANGE_FACTOR = 0.4  # of the intonation, of speech that is to be like singing


def fingerprint() -> dict[str, object]:
    """All that a pitch shift depends on besides the audio and the semitones: Praat's version, and the settings.

    Raises:
        MissingExtra: Praat is not installed.
    """
    return {"version": import_optional("parselmouth").PRAAT_VERSION, "settings": [FLOOR, CEILING, SINGING_RANGE_FACTOR]}


def pitch_shift(audio: Audio, semitones: float) -> Audio:
    """The same words, times, formants and peak level at a higher pitch, with a narrower pitch range."""
    sound, median = to_praat(audio)
    changed = change_gender(sound, 1.0, median * semitones_to_ratio(semitones), SINGING_RANGE_FACTOR)
    return Audio(match_peak(fit_length(changed.values[0], len(audio.samples)), audio), audio.rate)


def to_praat(audio: Audio) -> tuple[Any, float]:
    """A Sound object, and the median pitch in Hz.

    Raises:
        MissingExtra: Praat is not installed.
    """
    sound = import_optional("parselmouth").Sound(audio.samples.astype(np.float64), audio.rate)
    pitch = sound.to_pitch(pitch_floor=FLOOR, pitch_ceiling=CEILING).selected_array["frequency"]
    return sound, float(np.median(pitch[pitch > 0])) if (pitch > 0).any() else DEFAULT_PITCH


def change_gender(sound: Any, formant_ratio: float, pitch: float, range_factor: float) -> Any:
    """Praat's "Change gender": formants times a ratio, a new median pitch in Hz, and a factor on the pitch range."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no voice is found in noise
        call = import_optional("parselmouth.praat").call
        return call(sound, "Change gender", FLOOR, CEILING, formant_ratio, pitch, range_factor, 1.0)


def resynthesise(sound: Any, notes: Iterable[tuple[float, float]], durations: Iterable[tuple[float, float]]) -> Samples:
    """PSOLA (overlap-add) with a new pitch and new durations.

    Args:
        sound: of ``to_praat`` or ``change_gender``.
        notes: seconds and Hz.
        durations: seconds and factors by which time is stretched there.
    """
    call = import_optional("parselmouth.praat").call
    manipulation = call(sound, "To Manipulation", 0.01, FLOOR, CEILING)
    for kind, points in (("Pitch", notes), ("Duration", durations)):
        tier = call(f"Create {kind}Tier", kind, 0, sound.duration)
        for time, value in points:
            call(tier, "Add point", time, value)
        call([tier, manipulation], f"Replace {kind.lower()} tier")
    samples: Samples = call(manipulation, "Get resynthesis (overlap-add)").values[0].astype(np.float32)
    return samples


def match_peak(samples: Samples, like: Audio) -> Samples:
    """Samples (T,) scaled to the peak of other audio."""
    return samples * np.float32(np.abs(like.samples).max() / max(float(np.abs(samples).max()), 1e-6))
