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
from svc.evaluation import songs as layout
from svc.evaluation.evaluator import Evaluator, EvaluatorConfig, independence_notes
from svc.evaluation.exposure import Exposure
from svc.evaluation.metrics.speaker import MAX_SECONDS
from svc.evaluation.scoring import Evaluation, read_or_skip, score_all
from svc.evaluation.songs import ConversionPair, Song
from svc.inference.converter import Converter
from svc.utils.progress import progress

MAX_LISTED = 8  # speakers, in a sentence
MAX_ENROLMENT_FILES = 60  # of each speaker
MAX_ENROLMENT_SECONDS = 300.0  # of each speaker
T = TypeVar("T")
CONVERTED, SOURCE_FILTER = "converted", "source_filter"  # folders for conversions in the output folder


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRequest:
    """What to evaluate; for the layout of the folders see ``svc.evaluation.songs``."""

    sources: Path
    enrolment: Path | None = None  # the sources themselves if not given
    parallel: Path | None = None  # performances by the targets
    converted: Path | None = None  # existing conversions; else the converter makes them
    inputs: Path | None = None  # ``DIR/<song>.wav`` to convert in place of the sources, and to compare with these
    out: Path
    num_targets: int = 3  # other speakers that each song is converted to
    speakers: tuple[str, ...] = ()  # only these targets; all if empty
    metrics: EvaluatorConfig = field(default_factory=EvaluatorConfig)
    jobs: int | None = None  # threads; one for each core if not given


def evaluate(request: EvaluationRequest, converter: Converter | None = None) -> Evaluation:
    """Convert, unless there are conversions already, and score everything; bad files are skipped with their reason.

    Raises:
        DataError: folders hold nothing usable, no target has enrolment recordings, there is nothing to convert with, or
            the output would be written into an input folder. Nothing is written then.
    """
    skipped: list[str] = []
    _check_places(request)
    if converter is None and not request.converted:
        raise DataError("nothing to evaluate; give --voice to convert, or --converted for existing conversions")
    songs = layout.find_songs(request.sources)
    enrolment_files = _find_enrolment(request, songs)
    targets = _targets(request, converter, list(enrolment_files))
    enrolment = _read_enrolment(enrolment_files, skipped)
    pairs = _plan(request, songs, targets, enrolment, skipped)
    evaluator = Evaluator(request.metrics, enrolment)
    if converter and not request.converted:
        pairs = _convert(converter, pairs, request, skipped)
    scores = score_all(evaluator, pairs, request.parallel, request.jobs or os.cpu_count() or 1)
    evaluation = Evaluation(scores, evaluator, enrolment)
    scores.skipped[:] = dict.fromkeys(skipped + scores.skipped)
    if converter:
        voice = converter.voice
        exposure = Exposure(voice.training_data, voice.config, request.sources)
        notes = exposure.mark(scores.rows, scores.pairs, scores.truths)
        evaluation.notes.extend(independence_notes(request.metrics, voice.config) + notes)
    return evaluation


def _check_places(request: EvaluationRequest) -> None:
    """Check that all folders exist, and that the output stays apart from them."""
    out = request.out.resolve()
    inputs = {
        "--sources": request.sources,
        "--enrolment": request.enrolment,
        "--parallel": request.parallel,
        "--converted": request.converted,
    }
    for option, folder in inputs.items():
        for place in (folder, *layout.speaker_folders(folder, option).values()) if folder else ():
            if out.is_relative_to(place.resolve()):
                reason = f"lies inside the folder of {option}, where it would count as a speaker"
                raise DataError(f"{request.out}: {reason}; choose another -o")
            written = [(request.out / name).resolve() for name in (CONVERTED, SOURCE_FILTER)]
            if not request.converted and any(place.resolve().is_relative_to(conversions) for conversions in written):
                raise DataError(f"{place}: conversions would be written there, over {option}; choose another -o")
    try:
        above = next(place for place in (out, *out.parents) if place.exists())
        fits = above.is_dir() and os.access(above, os.W_OK)
    except OSError:  # its name is too long
        fits = False
    if not fits:
        raise DataError(f"{request.out}: cannot be created; choose another -o")


def _find_enrolment(request: EvaluationRequest, songs: Sequence[Song]) -> dict[str, list[Path]]:
    """Enrolment files of every speaker; those of the sources if there is no other folder."""
    if request.enrolment:
        return layout.find_recordings(request.enrolment, "--enrolment")
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
            audio = read_or_skip(chosen[place], skipped) if seconds < MAX_ENROLMENT_SECONDS else None
            if audio is None:
                continue
            start = Audio(audio.first(MAX_SECONDS).samples.copy(), audio.rate)  # frees the rest of a long recording
            if 20 * np.log10(np.abs(start.samples).max() + 1e-10) < files.MIN_LEVEL:
                skipped.append(f"{chosen[place]}: silent for its first {MAX_SECONDS:.0f} s; cut them off")
                continue
            enrolment.setdefault(name, []).append(start)
            seconds += start.seconds
    return {name: sorted(own, key=lambda audio: -audio.seconds) for name, own in enrolment.items()}


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items, evenly spaced from first to last."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def _targets(request: EvaluationRequest, converter: Converter | None, enrolled: list[str]) -> list[str]:
    if converter:
        speakers = converter.voice.speakers
        chosen = [speakers[converter.voice.speaker_index(name)] for name in request.speakers]
        return [speaker.name for speaker in chosen or speakers]
    wanted = [nfc(name) for name in request.speakers]
    unknown = sorted(set(wanted) - set(enrolled))
    if unknown:
        raise DataError(f"--speaker {unknown[0]}: no such enrolment folder; there are {', '.join(enrolled)}")
    return wanted or enrolled


def _plan(
    request: EvaluationRequest,
    songs: Sequence[Song],
    targets: Sequence[str],
    enrolled: Collection[str],
    skipped: list[str],
) -> list[ConversionPair]:
    """The pairs to score."""
    pairs: list[ConversionPair] = []
    if request.converted:
        chosen = targets if request.speakers else ()
        pairs = layout.match_existing_conversions(songs, request.converted, chosen, skipped)
        targets = [pair.target for pair in pairs]
    names = dict.fromkeys(targets)
    usable, missing = ([name for name in names if (name in enrolled) is there] for there in (True, False))
    more = f" and {len(missing) - MAX_LISTED} more" if missing[MAX_LISTED:] else ""
    reason = f"no enrolment recordings of {', '.join(missing[:MAX_LISTED])}{more}; put some in a folder for --enrolment"
    if not usable:
        raise DataError(reason)
    skipped += [reason] if missing else []
    if request.converted:
        return [pair for pair in pairs if pair.target in usable]
    return layout.plan_conversions(songs, usable, request.num_targets, request.out / CONVERTED)


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
