"""Phrases for the synthetic singers: phones, syllables, notes and timing, without any voice."""

from dataclasses import dataclass, replace

import numpy as np

from svc.utils.units import db_to_gain, seconds_to_frames

NASAL_POLE = 270.0  # Hz
INHALE = (-38.0, -26.0)  # dB of `Phone.breath`
INHALE_SECONDS, INHALE_GAP = 0.3, 0.12  # and seconds of silence around it
ROOM = (-90.0, -80.0)  # dB of full scale
SCALE = (-7, -5, -3, -1, 0, 2, 4, 5, 7)  # semitones around the tonic; major

# F1–F3 of men after Peterson and Barney (1952), rounded; F4 and F5 of a uniform tube of 17.5 cm.
VOWELS: dict[str, tuple[float, ...]] = {
    "i": (270, 2290, 3010, 3600, 4600),
    "e": (530, 1840, 2480, 3500, 4500),
    "ae": (660, 1720, 2410, 3500, 4500),
    "a": (730, 1090, 2440, 3500, 4500),
    "uh": (640, 1190, 2390, 3500, 4500),
    "o": (570, 840, 2410, 3400, 4400),
    "oo": (440, 1020, 2240, 3400, 4400),
    "u": (300, 870, 2240, 3400, 4400),
}


@dataclass(frozen=True, slots=True)
class Phone:
    """A stretch of steady articulation; levels are amplitudes, 1 being a vowel's voice."""

    seconds: float
    formants: tuple[float, ...]  # Hz, F1–F5
    voice: float = 0.0
    breath: float = 0.0  # aspiration, through the whole tract
    hiss: float = 0.0  # frication, through the colour alone
    colour: tuple[float, float] = (4000.0, 4000.0)  # Hz, centre and bandwidth of the hiss
    zero: float = NASAL_POLE  # Hz; at the pole's place the two cancel


def _plosive(formants: tuple[float, ...], colour: tuple[float, float], hiss: float) -> tuple[Phone, ...]:
    closure = Phone(0.06, formants, colour=colour)
    burst = replace(closure, seconds=0.01, hiss=hiss, breath=0.4)
    return closure, burst, replace(closure, seconds=0.03, breath=0.8)


# F1–F3 near the loci of Klatt (1980).
CONSONANTS: dict[str, tuple[Phone, ...]] = {
    "": (),
    "s": (Phone(0.11, (320, 1390, 2530, 3500, 4500), hiss=1.0, colour=(7000, 3500)),),
    "sh": (Phone(0.11, (300, 1840, 2750, 3500, 4500), hiss=1.0, colour=(3200, 1500)),),
    "f": (Phone(0.10, (340, 1100, 2080, 3500, 4500), hiss=0.25, colour=(6000, 9000)),),
    "z": (Phone(0.08, (240, 1390, 2530, 3500, 4500), voice=0.4, hiss=0.4, colour=(7000, 3500)),),
    "p": _plosive((400, 1100, 2150, 3500, 4500), (900, 1200), 1.2),
    "t": _plosive((400, 1600, 2600, 3500, 4500), (4200, 3000), 1.5),
    "k": _plosive((300, 1990, 2850, 3500, 4500), (2000, 900), 1.5),
    "m": (Phone(0.09, (480, 1270, 2130, 3500, 4500), voice=0.6, zero=450),),
    "n": (Phone(0.09, (480, 1340, 2470, 3500, 4500), voice=0.6, zero=450),),
    "l": (Phone(0.08, (310, 1050, 2880, 3500, 4500), voice=0.6),),
    "w": (Phone(0.08, (290, 610, 2150, 3500, 4500), voice=0.6),),
    "j": (Phone(0.08, (260, 2070, 3020, 3500, 4500), voice=0.6),),
}


@dataclass(frozen=True, slots=True)
class Note:
    """One syllable; times are multiples of 10 ms."""

    consonant: str  # a key of CONSONANTS
    vowel: str  # a key of VOWELS
    semitones: float  # above the singer's median
    seconds: float  # consonant and vowel; more than 0.15
    level: float = 0.0  # dB
    rest: float = 0.0  # seconds of silence after it


@dataclass(frozen=True, slots=True)
class Phrase:
    """Notes between two silences; the seed draws the noise of a rendition."""

    notes: tuple[Note, ...]
    lead: float = 0.15  # seconds of silence before the first note
    seed: int = 0
    inhale: float = 0.0  # amplitude of an audible breath in the lead, as `Phone.breath`
    noise: float = 0.0  # amplitude of the noise of the room, full scale
    whispered: bool = False  # aspiration in place of the voice

    @property
    def frames(self) -> int:
        """N, both silences counted."""
        return sum(seconds_to_frames(phone.seconds) for phone in phones_of(self))


def phrase(seed: int) -> Phrase:
    """Compose 6 to 10 syllables in 4 to 5 s; the melody walks at random within ±7 semitones."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(6, 11))
    lengths = rng.uniform(0.7, 1.4, count)
    lengths[-1] *= 1.4
    lengths *= rng.uniform(3.5, 4.2) / lengths.sum()
    steps = np.clip(4 + np.cumsum(rng.integers(-2, 3, count)), 0, len(SCALE) - 1)
    rests = np.where(rng.random(count) < 0.2, rng.uniform(0.06, 0.12, count), 0.0)
    rests[-1] = rng.uniform(0.12, 0.2)
    notes = tuple(
        Note(
            consonant=str(rng.choice(list(CONSONANTS))),
            vowel=str(rng.choice(list(VOWELS))),
            semitones=SCALE[steps[index]],
            seconds=round(float(lengths[index]), 2),
            level=float(rng.uniform(-3, 0)),
            rest=round(float(rests[index]), 2),
        )
        for index in range(count)
    )
    return Phrase(notes, lead=round(float(rng.uniform(0.12, 0.2)), 2), seed=seed)


def recorded_phrase(seed: int) -> Phrase:
    """``phrase(seed)`` as a microphone hears it: a breath before it and noise of the room throughout.

    The breath lies 40 to 60 dB below the loudest frame, the noise about 70 dB. From digital silence a model learns to
    leave breaths out.
    """
    rng = np.random.default_rng([seed, 1])
    inhale, noise = db_to_gain(rng.uniform(*INHALE)), db_to_gain(rng.uniform(*ROOM))
    return replace(phrase(seed), lead=INHALE_SECONDS + 2 * INHALE_GAP, inhale=float(inhale), noise=float(noise))


def phones_of(phrase: Phrase) -> list[Phone]:
    """The phones of a phrase in time order, from the silence before it to the silence after it."""
    phones: list[Phone] = []
    for note in phrase.notes:
        onset, gain = CONSONANTS[note.consonant], db_to_gain(note.level)
        vowel = note.seconds - sum(phone.seconds for phone in onset)
        phones += [
            replace(phone, voice=gain * phone.voice, breath=gain * phone.breath, hiss=gain * phone.hiss)
            for phone in (*onset, Phone(vowel, VOWELS[note.vowel], voice=1.0))
        ]
        phones.append(Phone(note.rest, VOWELS[note.vowel]))
    if phrase.whispered:
        phones = [replace(phone, voice=0.0, breath=phone.breath + phone.voice) for phone in phones]
    if not phrase.inhale:
        return [Phone(phrase.lead, phones[0].formants), *phones]
    gap = Phone(INHALE_GAP, VOWELS["uh"])
    breath = replace(gap, seconds=phrase.lead - 2 * INHALE_GAP, breath=phrase.inhale)
    return [gap, breath, replace(gap, formants=phones[0].formants), *phones]
