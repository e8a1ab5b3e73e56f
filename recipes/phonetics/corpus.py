"""Corpus of the phone classifier: recordings at 16 kHz, in several voices, with phone labels where they are known.

Transcripts in kana are syllables of singing, whose order is known but not their times; other text is English, which
PocketSphinx aligns. Of labelled speech there is also a singing version (singing_augmentation.py). Recordings without a
transcript have no labels, and serve as pairs of voices alone.
"""

import csv
import io
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

from phonetics import singing_augmentation
from phonetics.alignment import align_speech, dictionary
from phonetics.espeak import espeak
from phonetics.phones import NUMBER, PHONES, SILENCE, Segment, from_kana, labels
from svc.audio import files
from svc.audio.files import Audio, Samples
from svc.audio.find import find_audio
from svc.audio.resample import resample
from svc.data import corpora
from svc.errors import AudioError, DataError, printable
from svc.features.cache import Arrays, FeatureCache, file_hash, to_int16
from svc.features.content import normalise_level
from svc.features.extract import measure_loudness
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress
from svc.utils.units import FRAMES_PER_SECOND

RATE = 16_000
VOICES, SINGING_VOICES = 3, 2  # of a recording: its own and two changed ones; and those of its singing version
CACHE_KEY = {"version": 4, "voices": VOICES, "aligner": "pocketsphinx"}
MANIFEST = "utterances.jsonl"
INDEX = "index.csv"  # of recordings, in their folder or the one above: path and text
SYNTHETIC = "espeak-ng:"  # instead of a path
LANGUAGES = ("en-us", "en-us", "en-gb-x-rp", "en-029")  # of synthetic speech
WORD_COUNT, PITCH_RANGES, SPEEDS = (3, 9), (0, 0, 30, 60), (80, 110, 150, 190)  # of it; words a minute
HELD_OUT_EVERY = 20  # recordings of speech: one is held out
HELD_OUT_ONSETS = ("g", "m", "ɾ")  # singing that begins with these is held out

_Job = tuple[Path, str, Path]


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording in the cache."""

    path: str  # as given
    # in the cache, where ``audio`` is (3, T) 16-bit at 16 kHz and ``labels`` (N,); if there are labels, there are
    # ``singing`` (2, T') and ``singing_labels`` (N',) of the singing version
    key: str
    frames: int  # N
    syllables: tuple[tuple[int, ...], ...]  # of singing whose times are not known: indices into PHONES
    singing_frames: int = 0  # N', 0 if there is no singing version

    @property
    def is_synthetic(self) -> bool:
        """Whether espeak-ng speaks it."""
        return self.path.startswith(SYNTHETIC)

    @property
    def is_held_out(self) -> bool:
        """Whether it is kept for evaluation."""
        if self.syllables:
            return PHONES[self.syllables[0][0]] in HELD_OUT_ONSETS
        return int(self.key[:4], 16) % HELD_OUT_EVERY == 0

    @property
    def is_held_out_speech(self) -> bool:
        """Whether it is speech of a person that is kept for evaluation."""
        return self.is_held_out and not self.syllables and not self.is_synthetic


def prepare(
    folders: Sequence[Path], out: Path, synthetic: int = 0, jobs: int | None = None
) -> tuple[list[Utterance], list[str]]:
    """Utterances of all recordings below some folders, and of espeak-ng; and why others are not among them.

    What is in the cache of the output folder is not made again.

    Raises:
        DataError: there are none, a list of theirs cannot be read, espeak-ng is not installed, or a process ended.
    """
    work = [(path, text, out / "store") for folder in folders for path, text in find_recordings(folder)]
    if not work:
        raise DataError(f"{', '.join(map(str, folders))}: no recordings; name folders that hold speech or singing")
    if synthetic:  # fail before hours of work
        espeak()
        dictionary()
    try:
        results = list(progress(_run(work, jobs or os.cpu_count() or 1), "label", "file", len(work)))
    except BrokenProcessPool:
        raise DataError(f"{out}: a process was ended from outside, out of memory?; use fewer --jobs") from None
    utterances = [result for result in results if isinstance(result, Utterance)]
    if not utterances:
        raise DataError(f"none of {len(work)} recordings is usable, for example {results[0]}")
    utterances += [_synthesise(out / "store", number) for number in range(synthetic)]
    lines = "".join(json.dumps(asdict(utterance), ensure_ascii=False) + "\n" for utterance in utterances)
    write_bytes(out / MANIFEST, lines.encode())
    return utterances, [result for result in results if isinstance(result, str)]


def read_prepared(folder: Path) -> list[Utterance]:
    """Read the utterances that ``prepare`` wrote.

    Raises:
        DataError: they are not there, damaged, or of another version.
    """
    try:
        rows = [json.loads(line) for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines()]
        return [Utterance(**row | {"syllables": tuple(map(tuple, row["syllables"]))}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        raise DataError(f"{folder / MANIFEST}: cannot be read; prepare the recordings again") from None


def find_recordings(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every recording below a folder and its transcript, empty if there is none.

    Raises:
        DataError: there is no such folder, or a list in it cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    texts = _read_index(folder.parent / INDEX) | _read_index(folder / INDEX)
    if not texts and (name := corpora.detect(folder)) != "folder":
        texts = {recording.path: recording.text or "" for recording in corpora.find(folder, name)}
    for path in find_audio(folder):
        yield path, texts.get(path, "")


def _read_index(file: Path) -> dict[Path, str]:
    """Text by file; rows that end early have none."""
    try:
        content = file.read_text(encoding="utf-8") if file.is_file() else ""
        rows = list(csv.DictReader(io.StringIO(content, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as UTF-8 ({error}); repair or remove it") from None
    return {file.parent / row["path"]: row.get("text") or "" for row in rows if row.get("path")}


def _run(work: list[_Job], jobs: int) -> Iterator[Utterance | str]:
    if jobs == 1:
        yield from map(_process, work)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(_process, work)


def _process(job: _Job) -> Utterance | str:
    path, text, folder = job
    try:
        files.check_file(path)
        cache, source = FeatureCache(folder), file_hash(path)
        key = cache.key(source, CACHE_KEY | {"text": text})
        syllables = tuple(tuple(NUMBER[phone] for phone in syllable) for syllable in from_kana(text))
        if not cache.has(key):
            cache.put(key, _extract(files.read(path), text, bool(syllables), int(source[:12], 16)))
        return _utterance(str(path), cache, key, syllables)
    except (AudioError, OSError) as error:
        return str(error)
    except RuntimeError as error:  # of Praat or PocketSphinx
        return f"{path}: cannot be labelled ({printable(str(error)).strip()})"


def _extract(audio: Audio, text: str, is_singing: bool, seed: int) -> Arrays:
    """The cache entry of a recording: its voices and labels, and its singing version if it has labels."""
    own, rng = _normalise(audio), np.random.default_rng(seed)
    segments = align_speech(own, text) if text and not is_singing else []
    voices = [own.samples, *(singing_augmentation.change_voice(own, rng) for _ in range(VOICES - 1))]
    entry = _entry(voices, segments)
    truth = entry["labels"].astype(np.int64)
    if (truth <= SILENCE).all():
        return entry
    rng = np.random.default_rng([seed, 1])
    durations = singing_augmentation.plan_durations(truth, rng)
    singing = np.stack([singing_augmentation.sing(own, durations, rng) for _ in range(SINGING_VOICES)])
    singing_labels = singing_augmentation.stretched_labels(durations).astype(np.int8)
    return entry | {"singing": to_int16(singing), "singing_labels": singing_labels}


def _normalise(audio: Audio) -> Audio:
    """At 16 kHz and at the level of the encoders' input."""
    plain = resample(audio, RATE)
    return normalise_level(plain, measure_loudness(plain))


def _entry(voices: Sequence[Samples], segments: Sequence[Segment]) -> dict[str, NDArray[np.generic]]:
    audio = to_int16(np.stack(voices))
    return {"audio": audio, "labels": labels(segments, audio.shape[1] * FRAMES_PER_SECOND // RATE).astype(np.int8)}


def _synthesise(folder: Path, number: int) -> Utterance:
    """Random words in one of espeak-ng's voices, half of them in monotone."""
    cache, name = FeatureCache(folder), f"{SYNTHETIC}{number}"
    key = cache.key(name, CACHE_KEY)
    if not cache.has(key):
        rng, engine = np.random.default_rng(number), espeak()
        text = " ".join(rng.choice(dictionary(), int(rng.integers(*WORD_COUNT))))
        voice = f"{rng.choice(LANGUAGES)}+{rng.choice(engine.variants)}"
        pitch, span, speed = int(rng.integers(100)), int(rng.choice(PITCH_RANGES)), int(rng.choice(SPEEDS))
        speech, segments = engine.say(text, voice, pitch, span, speed)
        cache.put(key, _entry([_normalise(speech).samples], segments))
    return _utterance(name, cache, key, ())


def _utterance(path: str, cache: FeatureCache, key: str, syllables: tuple[tuple[int, ...], ...]) -> Utterance:
    with cache.open(key) as entry:
        shapes = entry.shapes()
    return Utterance(path, key, shapes["labels"][0], syllables, shapes.get("singing_labels", (0,))[0])
