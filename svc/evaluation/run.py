"""A whole evaluation: enrolment, plan, conversions, scores."""

import copy
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from svc.audio import files
from svc.audio.files import Audio
from svc.data.corpora.base import nfc
from svc.errors import DataError, SvcError
from svc.evaluation import protocol
from svc.evaluation.evaluator import Evaluator, EvaluatorConfig
from svc.evaluation.exposure import Exposure
from svc.evaluation.independence import independence_notes
from svc.evaluation.metrics import transcript
from svc.evaluation.metrics.speaker import MAX_SECONDS
from svc.evaluation.metrics.table import Row
from svc.evaluation.protocol import ConversionPair, Song
from svc.evaluation.scoring import Evaluation, read_or_skip, score_all
from svc.inference.converter import Converter
from svc.inference.voice import VoiceFile
from svc.utils.progress import progress

MAX_ENROLMENT_FILES = 60  # of each speaker
MAX_ENROLMENT_SECONDS = 300.0  # of each speaker
T = TypeVar("T")
CONVERTED, SOURCE_FILTER = "converted", "source_filter"  # folders for conversions in the output folder


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRequest:
    """What to evaluate.

    Attributes:
        sources: ``DIR/<speaker>/**/*``, or ``DIR/*``.
        enrolment: ``DIR/<speaker>/**/*``; the sources themselves if not given.
        parallel: ``DIR/<speaker>/<song>.*``, performances by the targets and by the speakers of the sources.
        converted: existing conversions ``DIR/<target>/<source>.*``; else the converter makes them.
        inputs: ``DIR/<source>.wav``, to convert in place of the sources, which the conversions are compared with.
        out: output folder.
        num_targets: other speakers that each song is converted to.
        speakers: only these targets; all if empty.
        metrics: names of the metrics.
        jobs: processes; one for each core if not given.
    """

    sources: Path
    enrolment: Path | None = None
    parallel: Path | None = None
    converted: Path | None = None
    inputs: Path | None = None
    out: Path
    num_targets: int = 3
    speakers: tuple[str, ...] = ()
    metrics: EvaluatorConfig = field(default_factory=EvaluatorConfig)
    jobs: int | None = None


def evaluate(request: EvaluationRequest, converter: Converter | None = None) -> Evaluation:
    """Convert, unless there are conversions already, and score everything; bad files are skipped with their reason.

    Without a converter and without conversions only the source, the baseline and the truth are scored.

    Raises:
        DataError: folders hold nothing usable, no target has enrolment recordings, or the output would be written
            into an input folder. Nothing is written then.
    """
    skipped: list[str] = []
    converting = converter is not None and not request.converted
    _check_places(request, converting, skipped)
    songs = protocol.find_songs(request.sources, skipped)
    enrolment_files = _enrolment_files(request, songs, skipped)
    targets = _targets(request, converter, list(enrolment_files))
    enrolment = _read_enrolment(enrolment_files, skipped)
    pairs = _plan(request, songs, targets, enrolment, skipped, converting)
    evaluator = Evaluator(_with_vocabulary(songs, request.metrics, skipped), enrolment)
    if converter and converting:
        pairs = _convert(converter, pairs, request, skipped)
    has_conversions = converting or request.converted is not None
    jobs = request.jobs or os.cpu_count() or 1
    evaluation = score_all(pairs, evaluator, enrolment, request.parallel, has_conversions=has_conversions, jobs=jobs)
    evaluation.scores.skipped[:] = dict.fromkeys(skipped + evaluation.scores.skipped)
    if converter:
        voice, scores = converter.voice, evaluation.scores
        Exposure(voice.training_data, voice.config, request.sources).mark(scores.rows, scores.pairs, scores.truths)
        evaluation.notes.extend(independence_notes(request.metrics, voice.config) + _exposure_notes(voice, scores.rows))
    return evaluation


def _exposure_notes(voice: VoiceFile, rows: Sequence[Row]) -> list[str]:
    if not voice.training_data.hashes:
        return ["The voice does not say what it was trained on: these songs may be among it."]
    seen, songs = ({row["song"] for row in rows if row.get("seen", -1.0) >= least} for least in (1, 0))
    return [f"The voice was trained on {len(seen)} of {len(songs)} songs, or on their truths."] if seen else []


def _plan(
    request: EvaluationRequest,
    songs: Sequence[Song],
    targets: Sequence[str],
    enrolled: Collection[str],
    skipped: list[str],
    converting: bool,
) -> list[ConversionPair]:
    """The pairs to score; without conversions, every song with other speakers."""
    if request.converted:
        chosen = targets if request.speakers else ()
        pairs = protocol.match_existing_conversions(songs, request.converted, chosen, skipped)
        usable = _enrolled_targets([pair.target for pair in pairs], enrolled, skipped)
        return [pair for pair in pairs if pair.target in usable]
    usable = _enrolled_targets(targets, enrolled, skipped)
    pairs = protocol.plan_conversions(songs, usable, request.num_targets, request.out / CONVERTED)
    pairs = [pair for pair in pairs if converting or pair.target != pair.song.speaker]
    if not pairs:
        raise DataError(f"{request.sources}: no other speaker to compare with; give --enrolment DIR/<speaker>/")
    return pairs


def _check_places(request: EvaluationRequest, converting: bool, skipped: list[str]) -> None:
    """Check that all folders exist, and that the output stays apart from them."""
    out = request.out.resolve()
    inputs = {
        "--sources": request.sources,
        "--enrolment": request.enrolment,
        "--parallel": request.parallel,
        "--converted": request.converted,
    }
    for option, folder in inputs.items():
        if folder is None:
            continue
        for place in (folder, *protocol.speaker_folders(folder, option, skipped)):
            if out.is_relative_to(place.resolve()):
                reason = f"lies inside the folder of {option}, where it would count as a speaker"
                raise DataError(f"{request.out}: {reason}; choose another -o")
            written = [(request.out / name).resolve() for name in (CONVERTED, SOURCE_FILTER)]
            if converting and any(place.resolve().is_relative_to(conversions) for conversions in written):
                raise DataError(f"{place}: conversions would be written there, over {option}; choose another -o")
    try:
        above = next(place for place in (out, *out.parents) if place.exists())
        fits = above.is_dir() and os.access(above, os.W_OK)
    except OSError as error:
        raise DataError(f"{request.out}: cannot be created ({error.strerror}); choose another -o") from None
    if not fits:
        raise DataError(f"{request.out}: cannot be created in {above}; choose another -o")


def _enrolment_files(request: EvaluationRequest, songs: Sequence[Song], skipped: list[str]) -> dict[str, list[Path]]:
    """The enrolment recordings of every speaker."""
    if request.enrolment:
        return protocol.find_recordings(request.enrolment, "--enrolment", skipped)
    names = dict.fromkeys(song.speaker for song in songs if song.speaker)
    if not names:
        raise DataError(f"{request.sources}: no speaker to compare with; give --enrolment DIR/<speaker>/")
    return {name: [song.path for song in songs if song.speaker == name] for name in names}


def _read_enrolment(files_of: Mapping[str, Sequence[Path]], skipped: list[str]) -> dict[str, list[Audio]]:
    """The beginnings of up to 60 recordings of every speaker, spread over all, until there are five minutes.

    The longest comes first: it is the one prompt of ``cosine_prompt``.
    """
    enrolment: dict[str, list[Audio]] = {}
    for name, paths in progress(files_of.items(), "enrol", "speaker", len(files_of)):
        seconds, chosen = 0.0, evenly_spaced(paths, MAX_ENROLMENT_FILES)
        for place in np.random.default_rng(0).permutation(len(chosen)):  # spread evenly wherever it stops
            if seconds >= MAX_ENROLMENT_SECONDS:
                break
            path = chosen[place]
            audio = read_or_skip(path, skipped)
            if audio is None:
                continue
            start = audio.first(MAX_SECONDS).samples.copy()  # frees the rest of a long recording
            if 20 * np.log10(np.abs(start).max() + 1e-10) < files.MIN_LEVEL:
                skipped.append(f"{path}: silent for its first {MAX_SECONDS:.0f} s; cut them off")
                continue
            enrolment.setdefault(name, []).append(Audio(start, audio.rate))
            seconds += enrolment[name][-1].seconds
    return {name: sorted(own, key=lambda audio: -audio.seconds) for name, own in enrolment.items()}


def _with_vocabulary(songs: Sequence[Song], metrics: EvaluatorConfig, skipped: list[str]) -> EvaluatorConfig:
    """The config, with the words of all lyrics for PocketSphinx."""
    if metrics.asr.lower() != transcript.SPHINX:
        return metrics
    texts = []
    for song in songs:
        try:
            texts.append(song.text or "")
        except DataError as error:
            skipped.append(str(error))
    return replace(metrics, vocabulary=tuple(transcript.extract_vocabulary(texts)))


def _enrolled_targets(names: Sequence[str], enrolled: Collection[str], skipped: list[str]) -> list[str]:
    """The targets that have enrolment recordings; the others are appended to the skipped."""
    missing = [name for name in dict.fromkeys(names) if name not in enrolled]
    usable = [name for name in dict.fromkeys(names) if name in enrolled]
    reason = "no enrolment recordings of {}; put some in a folder for --enrolment"
    if not usable:
        raise DataError(reason.format(", ".join(missing)))
    skipped += map(reason.format, missing)
    return usable


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items, evenly spaced from first to last."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def _targets(request: EvaluationRequest, converter: Converter | None, enrolled: list[str]) -> list[str]:
    if converter:
        voice = converter.voice
        if request.speakers:
            return [voice.speakers[voice.speaker_index(name)].name for name in request.speakers]
        return [speaker.name for speaker in voice.speakers]
    wanted = [nfc(name) for name in request.speakers]
    unknown = sorted(set(wanted) - set(enrolled))
    if unknown:
        raise DataError(f"--speaker {unknown[0]}: no such enrolment folder; there are {', '.join(enrolled)}")
    return wanted or enrolled


def _convert(
    converter: Converter, pairs: Sequence[ConversionPair], request: EvaluationRequest, skipped: list[str]
) -> list[ConversionPair]:
    """Convert all pairs, by the whole generator and by its source–filter stage alone if it has both stages."""
    alone = _without_wavenet(converter)
    converted = []
    for pair in progress(pairs, "convert", "song", len(pairs)):
        outputs = [(converter, pair.output)]
        if alone:
            path = request.out / SOURCE_FILTER / pair.target / f"{pair.song.id}.wav"
            outputs.append((alone, path))
            pair = replace(pair, source_filter=path)
        try:
            audio = files.read(request.inputs / f"{pair.song.id}.wav" if request.inputs else pair.song.path)
            for stages, path in outputs:
                path.parent.mkdir(parents=True, exist_ok=True)
                keep_key = pair.song.speaker == pair.target
                files.write(path, stages.convert(audio, pair.target, transpose=0.0 if keep_key else "auto")[0])
            converted.append(pair)
        except SvcError as error:
            skipped.append(str(error))
        except OSError as error:
            raise DataError(f"{pair.output}: cannot be written ({error.strerror}); choose another -o") from None
    return converted


def _without_wavenet(converter: Converter) -> Converter | None:
    """A converter with the source–filter stage alone; None if the voice lacks one of the two stages."""
    if converter.generator.wavenet is None or not converter.voice.config.model.source_filter:
        return None
    alone = copy.copy(converter)
    alone.generator = copy.deepcopy(converter.generator)
    alone.generator.wavenet = None
    return alone
