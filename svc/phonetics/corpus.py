"""Recordings for the acoustic model: at 16 kHz, in several voices, with the sound of every frame where it is known.

Kana are sung syllables, whose order is known but not their times; other text is English, which PocketSphinx aligns.
What English recordings without a transcript say, it guesses. What is known in time is also sung
(svc/phonetics/singing_augmentation.py).
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.audio import files
from svc.audio.files import Audio, Samples
from svc.audio.resample import resample
from svc.errors import AudioError, DataError, printable
from svc.features.cache import Arrays, Store, file_hash, sixteen_bits
from svc.features.content import at_level
from svc.features.extract import measure_loudness
from svc.phonetics import singing_augmentation
from svc.phonetics.alignment import aligner, dictionary
from svc.phonetics.espeak import espeak
from svc.phonetics.phones import NUMBER, PHONES, SILENCE, Labels, Segment, labels, of_kana
from svc.phonetics.transcripts import find
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress
from svc.utils.units import FRAMES_PER_SECOND

RATE = 16_000
VOICES, SINGERS = 3, 2  # of a recording: its own and two made of it; and those who sing it
IDENTITY = {"version": 2, "voices": VOICES, "aligner": "pocketsphinx"}
LANGUAGES = ("en-us", "en-us", "en-gb-x-rp", "en-029")  # of synthetic speech, as are:
WORDS, MADE_SPANS, SPEEDS = (3, 9), (0, 0, 30, 60), (80, 110, 150, 190)  # number, intonation, words a minute
MANIFEST = "utterances.jsonl"
MADE = "espeak-ng:"  # instead of a path
HELD_SPOKEN, HELD_SUNG = 20, ("g", "m", "ɾ")  # one recording in twenty; syllable strings that begin with these

_Work = tuple[Path, str, Path]


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording in the store.

    Attributes:
        path: as given.
        key: in the store, where ``audio`` is (3, T) 16-bit at 16 kHz and ``labels`` (N,); if sounds are known, there
            are ``sung`` (2, T') and ``sung_labels`` (N',) of the same as if it were sung.
        frames: N.
        syllables: sung one after another, where their times are not known: numbers of PHONES.
        sung_frames: N', 0 if there is no such thing.
    """

    path: str
    key: str
    frames: int
    syllables: tuple[tuple[int, ...], ...]
    sung_frames: int = 0

    @property
    def made(self) -> bool:
        """Whether nobody said it."""
        return self.path.startswith(MADE)

    @property
    def held(self) -> bool:
        """Whether it is kept for measuring."""
        if self.syllables:
            return PHONES[self.syllables[0][0]] in HELD_SUNG
        return int(self.key[:4], 16) % HELD_SPOKEN == 0

    @property
    def held_speech(self) -> bool:
        """Whether somebody said it, and it is kept for measuring."""
        return self.held and not self.syllables and not self.made


def prepare(
    folders: Sequence[Path], out: Path, synthetic: int = 0, jobs: int | None = None
) -> tuple[list[Utterance], list[str]]:
    """Utterances of all recordings below some folders, and why others are not among them.

    Args:
        folders: of speech and song.
        out: with a store; what is there is not made again.
        synthetic: utterances of espeak-ng to be added.
        jobs: processes; one for each core if not given.

    Raises:
        DataError: there are none, a list of theirs cannot be read, espeak-ng is not installed, or a process ended.
    """
    work = [(path, text, out / "store") for folder in folders for path, text in find(folder)]
    if not work:
        raise DataError(f"{', '.join(map(str, folders))}: no recordings; name folders that hold speech or song")
    if synthetic:  # what is missing is told before hours of work
        espeak()
        dictionary()
    try:
        results = list(progress(_run(work, jobs or os.cpu_count() or 1), "label", "file", len(work)))
    except BrokenProcessPool:
        raise DataError(f"{out}: a process was ended from outside, for want of memory?; use fewer --jobs") from None
    utterances = [result for result in results if isinstance(result, Utterance)]
    if not utterances:
        raise DataError(f"none of {len(work)} recordings is usable, for example {results[0]}")
    utterances += [_synthetic(out / "store", number) for number in range(synthetic)]
    lines = "".join(json.dumps(asdict(utterance), ensure_ascii=False) + "\n" for utterance in utterances)
    write_bytes(out / MANIFEST, lines.encode())
    return utterances, [result for result in results if isinstance(result, str)]


def read_prepared(folder: Path) -> list[Utterance]:
    """What ``prepare`` wrote.

    Raises:
        DataError: it has not, or it is damaged.
    """
    try:
        rows = [json.loads(line) for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines()]
        return [Utterance(**row | {"syllables": tuple(map(tuple, row["syllables"]))}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        raise DataError(f"{folder / MANIFEST}: cannot be read; prepare the recordings again") from None


def _run(work: list[_Work], jobs: int) -> Iterator[Utterance | str]:
    if jobs == 1:
        yield from map(_one, work)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(_one, work)


def _one(work: _Work) -> Utterance | str:
    path, text, folder = work
    try:
        files.check_file(path)
        store, source = Store(folder), file_hash(path)
        key = store.key(source, IDENTITY | {"text": text})
        syllables = tuple(tuple(NUMBER[phone] for phone in syllable) for syllable in of_kana(text))
        if not store.has(key):
            store.put(key, _recorded(files.read(path), text, bool(syllables), int(source[:12], 16)))
        return _utterance(str(path), store, key, syllables)
    except (AudioError, OSError) as error:
        return str(error)
    except RuntimeError as error:  # of Praat or PocketSphinx
        return f"{path}: cannot be labelled ({printable(str(error)).strip()})"


def _recorded(audio: Audio, text: str, sung: bool, seed: int) -> Arrays:
    own, rng = _levelled(audio), np.random.default_rng(seed)
    segments = [] if sung else aligner().align(own, text)
    entry = _entry([own.samples, *(singing_augmentation.another_voice(own, rng) for _ in range(VOICES - 1))], segments)
    return entry | _as_sung(own, entry["labels"].astype(np.int64), np.random.default_rng([seed, 1]))


def _as_sung(own: Audio, known: Labels, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    if (known <= SILENCE).all():
        return {}
    stretches = singing_augmentation.plan(known, rng)
    voices = sixteen_bits(np.stack([singing_augmentation.sung(own, stretches, rng) for _ in range(SINGERS)]))
    return {"sung": voices, "sung_labels": singing_augmentation.stretched(stretches).astype(np.int8)}


def _levelled(audio: Audio) -> Audio:
    """At 16 kHz and at the level at which encoders hear."""
    plain = resample(audio, RATE)
    return at_level(plain, measure_loudness(plain))


def _entry(voices: Sequence[Samples], segments: Sequence[Segment]) -> dict[str, NDArray[np.generic]]:
    audio = sixteen_bits(np.stack(voices))
    known = labels(segments, audio.shape[1] * FRAMES_PER_SECOND // RATE)
    return {"audio": audio, "labels": known.astype(np.int8)}


def _synthetic(folder: Path, number: int) -> Utterance:
    """Some words in one of espeak-ng's voices, half of them on one note."""
    store, name = Store(folder), f"{MADE}{number}"
    key = store.key(name, IDENTITY)
    if not store.has(key):
        rng, talker = np.random.default_rng(number), espeak()
        text = " ".join(rng.choice(dictionary(), int(rng.integers(*WORDS))))
        voice = f"{rng.choice(LANGUAGES)}+{rng.choice(talker.variants)}"
        pitch, span, speed = int(rng.integers(100)), int(rng.choice(MADE_SPANS)), int(rng.choice(SPEEDS))
        said, segments = talker.say(text, voice, pitch, span, speed)
        store.put(key, _entry([_levelled(said).samples], segments))
    return _utterance(name, store, key, ())


def _utterance(path: str, store: Store, key: str, syllables: tuple[tuple[int, ...], ...]) -> Utterance:
    shapes = store.shapes(key)
    return Utterance(path, key, shapes["labels"][0], syllables, shapes.get("sung_labels", (0,))[0])
