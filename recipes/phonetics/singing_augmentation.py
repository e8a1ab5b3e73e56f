"""Singing augmentation of speech by Praat: other voices saying the same, and speech resynthesised as singing.

There is little free singing whose phones are labelled in time, and much speech. In the singing that is made of it
vowels are lengthened and syllables lie on the notes of a scale, with vibrato; the order of the phones is kept, so that
the labels stretch along.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from phonetics.phones import PHONES, UNKNOWN, VOWELS, Labels
from svc.audio import praat
from svc.audio.files import Audio, Samples
from svc.audio.resample import fit_length
from svc.utils.units import FRAMES_PER_SECOND, semitones_to_ratio

FORMANT_RATIOS = (0.8, 1.25)  # of another vocal tract
OCTAVES, MEDIANS, RANGE_FACTORS = (-1.0, 1.2), (75.0, 750.0), (0.0, 0.3, 1.0)  # of another voice; Hz; of the intonation
DURATION_FACTORS = dict.fromkeys(VOWELS.split(), (1.2, 5.0))  # least and most
DURATION_FACTORS |= dict.fromkeys(("m", "n", "ŋ", "l", "ɹ", "w", "j", "z", "v", "ʒ", "ð", "s", "ʃ", "f"), (1.0, 1.8))
TONIC_OCTAVES, TONICS_HZ = (-0.5, 1.6), (80.0, 650.0)  # from the speaker's median
SCALE, LOWEST_STEP, HIGHEST_STEP, MAX_LEAP = (0, 2, 4, 5, 7, 9, 11), -4, 7, 3  # semitones; steps of it from the tonic
NEW_NOTE = 0.7  # probability with every vowel
VIBRATO_HZ, VIBRATO_SEMITONES, VIBRATO_ONSET = (4.5, 6.5), (0.0, 0.7), 0.3  # seconds until it is at its full depth


def change_voice(audio: Audio, rng: np.random.Generator) -> Samples:
    """The same words at the same times by another vocal tract, at another pitch, perhaps in monotone; (T,)."""
    sound, median = praat.to_praat(audio)
    ratio, pitch = _random_formant_ratio(rng), float(np.clip(median * 2 ** rng.uniform(*OCTAVES), *MEDIANS))
    changed = praat.change_gender(sound, ratio, pitch, float(rng.choice(RANGE_FACTORS)))
    return fit_length(changed.values[0], len(audio.samples))


@dataclass(frozen=True, slots=True)
class PhoneDuration:
    """Frames [first, last) of one phone, ``factor`` times as long in the singing."""

    phone: int
    first: int
    last: int
    factor: float

    @property
    def is_vowel(self) -> bool:
        """Whether a note may begin with it."""
        return self.phone != UNKNOWN and PHONES[self.phone] in VOWELS.split()


def plan_durations(labels: Labels, rng: np.random.Generator) -> list[PhoneDuration]:
    """Random duration factors for the phones of labels (N,)."""
    bounds = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [PhoneDuration(int(labels[a]), a, b, _factor(int(labels[a]), rng)) for a, b in pairwise(bounds)]


def _factor(phone: int, rng: np.random.Generator) -> float:
    least, most = DURATION_FACTORS.get("" if phone == UNKNOWN else PHONES[phone], (1.0, 1.0))
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def stretched_labels(durations: Sequence[PhoneDuration]) -> Labels:
    """Labels (N',) of the singing. Edges of phones are only known to a frame, so stretched edges are unknown."""
    ends = np.round(np.cumsum([(d.last - d.first) * d.factor for d in durations])).astype(int)
    labels = np.repeat([d.phone for d in durations], np.diff(ends, prepend=0))
    for duration, first, last in zip(durations, [0, *ends], ends, strict=False):
        edge = round(duration.factor - 1)
        labels[first : first + edge] = labels[last - edge : last] = UNKNOWN
    return labels


def sing(audio: Audio, durations: Sequence[PhoneDuration], rng: np.random.Generator) -> Samples:
    """Speech resynthesised as singing by another vocal tract, (T',) as ``stretched_labels``, at the same peak level."""
    sound, median = praat.to_praat(audio)
    changed = praat.change_gender(sound, _random_formant_ratio(rng), median, 1.0)
    edges = ((frame / FRAMES_PER_SECOND, d.factor) for d in durations for frame in (d.first + 0.01, d.last - 0.01))
    samples = praat.match_peak(praat.resynthesise(changed, random_melody(durations, median, rng), edges), audio)
    return fit_length(samples, len(stretched_labels(durations)) * audio.rate // FRAMES_PER_SECOND)


def random_melody(
    durations: Sequence[PhoneDuration], median: float, rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """Seconds in the speech and Hz, frame by frame: a random walk on a major scale, with vibrato in stretched time."""
    tonic = float(np.clip(median * 2 ** rng.uniform(*TONIC_OCTAVES), *TONICS_HZ))
    rate, depth, step = rng.uniform(*VIBRATO_HZ), rng.uniform(*VIBRATO_SEMITONES), 0
    for duration in durations:
        if duration.is_vowel and rng.random() < NEW_NOTE:
            step = int(np.clip(step + rng.integers(-MAX_LEAP, MAX_LEAP + 1), LOWEST_STEP, HIGHEST_STEP))
        note = 12 * (step // len(SCALE)) + SCALE[step % len(SCALE)]
        for frame in range(duration.first, duration.last):
            seconds = (frame - duration.first) / FRAMES_PER_SECOND * duration.factor
            vibrato = depth * min(1.0, seconds / VIBRATO_ONSET) * np.sin(2 * np.pi * rate * seconds)
            yield frame / FRAMES_PER_SECOND, tonic * semitones_to_ratio(note + vibrato)


def _random_formant_ratio(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(FORMANT_RATIOS))))
