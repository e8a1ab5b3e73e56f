"""Twins of a recording: the same words in another voice, by Praat, and the same words as if they were sung.

Of singing whose sounds are known in time there is little that is free; of speech there is much. Sung, its vowels are
held and its syllables stand on the notes of a scale, with vibrato; the order of the sounds is kept, so that what is
known of them stretches along.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from svc.audio.files import Audio, Samples
from svc.audio.resample import fit_length
from svc.phonetics.phones import PHONES, UNKNOWN, VOWELS, Labels
from svc.utils.optional import extra
from svc.utils.units import FRAMES_PER_SECOND, semitones_to_ratio

FORMANTS = (0.8, 1.25)  # ratios, of another vocal tract
LOWEST, HIGHEST = 65.0, 900.0  # Hz, that Praat looks for
TYPICAL = 150.0  # Hz, of a recording in which it finds nothing
OCTAVES, MEDIANS, SPANS = (-1.0, 1.2), (75.0, 750.0), (0.0, 0.3, 1.0)  # of a spoken twin; Hz; of the intonation
DRAWN = dict.fromkeys(VOWELS.split(), (1.2, 5.0))  # times as long as spoken, at least and at most
DRAWN |= dict.fromkeys(("m", "n", "ŋ", "l", "ɹ", "w", "j", "z", "v", "ʒ", "ð", "s", "ʃ", "f"), (1.0, 1.8))
SINGING_SPAN = 0.4  # of the intonation, of speech that is to be like singing
TONIC, TONICS = (-0.5, 1.6), (80.0, 650.0)  # octaves from the speaker's median, Hz
SCALE, DOWN, UP, LEAP = (0, 2, 4, 5, 7, 9, 11), -4, 7, 3  # semitones; steps of it from the tonic, and at once
NEW_NOTE = 0.7  # of the vowels
VIBRATO, DEPTH, ONSET = (4.5, 6.5), (0.0, 0.7), 0.3  # Hz, semitones, seconds until it is whole


def another_voice(audio: Audio, rng: np.random.Generator) -> Samples:
    """The same words at the same times from another vocal tract, at another pitch, perhaps on one note."""
    sound, median = _heard(audio)
    tract, pitch = _tract(rng), float(np.clip(median * 2 ** rng.uniform(*OCTAVES), *MEDIANS))
    changed = _changed(sound, tract, pitch, float(rng.choice(SPANS)))
    return fit_length(changed.values[0], len(audio.samples))


def higher(audio: Audio, semitones: float) -> Audio:
    """The same words at the same times by the same vocal tract, so much higher, with less of the intonation."""
    sound, median = _heard(audio)
    changed = _changed(sound, 1.0, median * semitones_to_ratio(semitones), SINGING_SPAN)
    samples = fit_length(changed.values[0], len(audio.samples))
    level = np.abs(audio.samples).max() / max(float(np.abs(samples).max()), 1e-6)
    return Audio(samples * np.float32(level), audio.rate)


@dataclass(frozen=True, slots=True)
class Held:
    """Frames ``first`` … ``last`` − 1 of one sound, ``factor`` times as long when they are sung."""

    sound: int
    first: int
    last: int
    factor: float

    @property
    def vowel(self) -> bool:
        """Whether it can carry a note."""
        return self.sound != UNKNOWN and PHONES[self.sound] in VOWELS.split()


def plan(known: Labels, rng: np.random.Generator) -> list[Held]:
    """How long each sound of labels (N,) is to be held."""
    bounds = [0, *(np.flatnonzero(np.diff(known)) + 1).tolist(), len(known)]
    return [Held(int(known[a]), a, b, _factor(int(known[a]), rng)) for a, b in pairwise(bounds)]


def _factor(sound: int, rng: np.random.Generator) -> float:
    least, most = DRAWN.get("" if sound == UNKNOWN else PHONES[sound], (1.0, 1.0))
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def stretched(stretches: Sequence[Held]) -> Labels:
    """Labels (N',) of what is sung so; where a sound begins and ends is not known to a frame, so less so when drawn."""
    ends = np.round(np.cumsum([(s.last - s.first) * s.factor for s in stretches])).astype(int)
    known = np.repeat([s.sound for s in stretches], np.diff(ends, prepend=0))
    for stretch, first, last in zip(stretches, [0, *ends], ends, strict=False):
        edge = round(stretch.factor - 1)
        known[first : first + edge] = known[last - edge : last] = UNKNOWN
    return known


def sung(audio: Audio, stretches: Sequence[Held], rng: np.random.Generator) -> Samples:
    """Audio as sung, (T',) as long as the labels of ``stretched`` and as loud as it is, from another vocal tract."""
    call = extra("parselmouth.praat").call
    sound, median = _heard(audio)
    manipulation = call(_changed(sound, _tract(rng), median, 1.0), "To Manipulation", 0.01, LOWEST, HIGHEST)
    notes, lengths = (call(f"Create {kind}Tier", kind, 0, sound.duration) for kind in ("Pitch", "Duration"))
    for time, hertz in melody(stretches, median, rng):
        call(notes, "Add point", time, hertz)
    for stretch in stretches:
        for frame in (stretch.first + 0.01, stretch.last - 0.01):
            call(lengths, "Add point", frame / FRAMES_PER_SECOND, stretch.factor)
    call([notes, manipulation], "Replace pitch tier")
    call([lengths, manipulation], "Replace duration tier")
    samples = call(manipulation, "Get resynthesis (overlap-add)").values[0].astype(np.float32)
    level = np.abs(audio.samples).max() / max(float(np.abs(samples).max()), 1e-6)
    return fit_length(samples * level, len(stretched(stretches)) * audio.rate // FRAMES_PER_SECOND)


def melody(stretches: Sequence[Held], median: float, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Seconds of the speech and hertz, frame by frame: a random walk on a major scale, with vibrato in sung time."""
    tonic = float(np.clip(median * 2 ** rng.uniform(*TONIC), *TONICS))
    rate, depth, step = rng.uniform(*VIBRATO), rng.uniform(*DEPTH), 0
    for stretch in stretches:
        if stretch.vowel and rng.random() < NEW_NOTE:
            step = int(np.clip(step + rng.integers(-LEAP, LEAP + 1), DOWN, UP))
        note = 12 * (step // len(SCALE)) + SCALE[step % len(SCALE)]
        for frame in range(stretch.first, stretch.last):
            held = (frame - stretch.first) / FRAMES_PER_SECOND * stretch.factor
            wave = depth * min(1.0, held / ONSET) * np.sin(2 * np.pi * rate * held)
            yield frame / FRAMES_PER_SECOND, tonic * semitones_to_ratio(note + wave)


def _heard(audio: Audio) -> tuple[Any, float]:
    """Audio as a sound of Praat's, and its median pitch in Hz."""
    sound = extra("parselmouth").Sound(audio.samples.astype(np.float64), audio.rate)
    found = sound.to_pitch(pitch_floor=LOWEST, pitch_ceiling=HIGHEST).selected_array["frequency"]
    return sound, float(np.median(found[found > 0])) if (found > 0).any() else TYPICAL


def _changed(sound: Any, tract: float, pitch: float, span: float) -> Any:
    """With formants times ``tract``, of that median pitch in Hz, and with so much of its intonation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no voice is found in noise
        return extra("parselmouth.praat").call(sound, "Change gender", LOWEST, HIGHEST, tract, pitch, span, 1.0)


def _tract(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(FORMANTS))))
