"""The walk of an evaluation: who is known, who sings what, conversions, scores."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from svc.audio import files
from svc.audio.files import Audio
from svc.errors import DataError, SvcError
from svc.evaluation import protocol
from svc.evaluation.evaluator import Judges, Panel
from svc.evaluation.metrics import transcript
from svc.evaluation.metrics.speaker import LONGEST
from svc.evaluation.parallel import Evaluation, score
from svc.evaluation.protocol import Case, Song
from svc.evaluation.scoring import try_read
from svc.inference.converter import Converter
from svc.utils.progress import progress

REFERENCES = 60  # recordings that each singer is known by, at most
ENOUGH = 300.0  # seconds of them, after which no more are read
T = TypeVar("T")
CONVERTED = "converted"  # folder for conversions, below that for everything


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is to be judged.

    Attributes:
        sources: ``DIR/<singer>/**/*``, or ``DIR/*``.
        references: ``DIR/<singer>/**/*``; the sources themselves if not given.
        parallel: ``DIR/<singer>/<song>.*``, of targets and of the sources' singers, if there is such a thing.
        converted: ready conversions ``DIR/<target>/<source>.*``; else the converter makes them.
        out: the folder for everything that is written.
        targets: how many others each song is turned into.
        speakers: only these targets; all that are known if empty.
        judges: who sits on the panel.
        jobs: processes; one for each core if not given.
    """

    sources: Path
    references: Path | None = None
    parallel: Path | None = None
    converted: Path | None = None
    out: Path
    targets: int = 3
    speakers: tuple[str, ...] = ()
    judges: Judges = field(default_factory=Judges)
    jobs: int | None = None


def evaluate(request: Request, converter: Converter | None = None) -> Evaluation:
    """Convert, if there are no ready conversions, and score everything; a bad file is skipped with its reason.

    Without a converter and without conversions only floor and ceiling are measured.

    Raises:
        DataError: folders hold nothing usable, no target has references, or what is written would be mistaken for
            what is read. Nothing is written then.
    """
    skipped: list[str] = []
    converting = converter is not None and not request.converted
    _check_places(request, converting, skipped)
    songs = protocol.songs(request.sources, skipped)
    known = _known(request, songs, skipped)
    targets = _targets(request, converter, list(known))
    enrolled = _enrol(known, skipped)
    planned = _plan(request, songs, targets, enrolled, skipped, converting)
    panel = Panel(_listening_for(songs, request.judges, skipped), enrolled)
    if converter and converting:
        planned = _convert(converter, planned, skipped)
    made = converting or request.converted is not None
    found = score(planned, panel, enrolled, request.parallel, made=made, jobs=request.jobs or os.cpu_count() or 1)
    found.scored.skipped[:] = dict.fromkeys(skipped + found.scored.skipped)
    return found


def _plan(
    request: Request,
    songs: Sequence[Song],
    targets: Sequence[str],
    enrolled: Collection[str],
    skipped: list[str],
    converting: bool,
) -> list[Case]:
    """The conversions to score; without any, every song beside others who could sing it."""
    if request.converted:
        ready = protocol.ready(songs, request.converted, targets if request.speakers else (), skipped)
        heard = _recognisable([case.target for case in ready], enrolled, skipped)
        return [case for case in ready if case.target in heard]
    heard = _recognisable(targets, enrolled, skipped)
    planned = protocol.plan(songs, heard, request.targets, request.out / CONVERTED)
    planned = [case for case in planned if converting or case.target != case.song.singer]
    if not planned:
        raise DataError(f"{request.sources}: nobody else to compare with; name a folder of singers with --references")
    return planned


def _check_places(request: Request, converting: bool, skipped: list[str]) -> None:
    """All folders are there, and what is written stays apart from them."""
    out, conversions = request.out.resolve(), (request.out / CONVERTED).resolve()
    inputs = {
        "--sources": request.sources,
        "--references": request.references,
        "--parallel": request.parallel,
        "--converted": request.converted,
    }
    for option, folder in inputs.items():
        if folder is None:
            continue
        for place in (folder, *protocol.singer_folders(folder, option, skipped)):
            if out.is_relative_to(place.resolve()):
                told = f"lies inside the folder of {option}, where it would pass for a singer"
                raise DataError(f"{request.out}: {told}; choose another -o")
            if converting and place.resolve().is_relative_to(conversions):
                raise DataError(f"{place}: conversions would be written there, over {option}; choose another -o")
    try:
        above = next(place for place in (out, *out.parents) if place.exists())
        fits = above.is_dir() and os.access(above, os.W_OK)
    except OSError as error:
        raise DataError(f"{request.out}: cannot be made ({error.strerror}); choose another -o") from None
    if not fits:
        raise DataError(f"{request.out}: cannot be made in {above}; choose another -o")


def _known(request: Request, songs: Sequence[Song], skipped: list[str]) -> dict[str, list[Path]]:
    """The recordings of every singer that are there to know them by."""
    if request.references:
        return protocol.singers(request.references, "--references", skipped)
    known = {name: [s.path for s in songs if s.singer == name] for name in {s.singer: 0 for s in songs} if name}
    if not known:
        raise DataError(f"{request.sources}: nobody to compare with; name a folder of singers with --references")
    return known


def _enrol(known: Mapping[str, Sequence[Path]], skipped: list[str]) -> dict[str, list[Audio]]:
    """The beginnings of recordings of every singer, evenly from all there are, until they are known for long enough."""
    enrolled: dict[str, list[Audio]] = {}
    for name, paths in progress(known.items(), "enrol", "singer", len(known)):
        heard, chosen = 0.0, evenly(paths, REFERENCES)
        for place in np.random.default_rng(0).permutation(len(chosen)):  # evenly, wherever it stops
            if heard >= ENOUGH:
                break
            path = chosen[place]
            audio = try_read(path, skipped)
            if audio is None:
                continue
            start = audio.first(LONGEST).samples.copy()  # the rest of a long song is let go
            if 20 * np.log10(np.abs(start).max() + 1e-10) < files.MIN_LEVEL:
                skipped.append(f"{path}: silent for its first {LONGEST:.0f} s; cut them off")
                continue
            enrolled.setdefault(name, []).append(Audio(start, audio.rate))
            heard += enrolled[name][-1].seconds
    return enrolled


def _listening_for(songs: Sequence[Song], judges: Judges, skipped: list[str]) -> Judges:
    """The judges, of whom one that chooses among words is told those of all songs."""
    if judges.transcribe.lower() != transcript.SPHINX:
        return judges
    texts = []
    for song in songs:
        try:
            texts.append(song.text or "")
        except DataError as error:
            skipped.append(str(error))
    return replace(judges, vocabulary=tuple(transcript.vocabulary(texts)))


def _recognisable(names: Sequence[str], enrolled: Collection[str], skipped: list[str]) -> list[str]:
    """Those of the targets that there are recordings to know by; the others are told among the skipped."""
    unknown = [name for name in dict.fromkeys(names) if name not in enrolled]
    known = [name for name in dict.fromkeys(names) if name in enrolled]
    told = "no recordings to know {} by; put some in a folder for --references"
    if not known:
        raise DataError(told.format(", ".join(unknown)))
    skipped += map(told.format, unknown)
    return known


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most so many, evenly from first to last."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def _targets(request: Request, converter: Converter | None, known: list[str]) -> list[str]:
    if converter:
        voice = converter.voice
        if request.speakers:
            return [voice.singers[voice.row(name)].name for name in request.speakers]
        return [singer.name for singer in voice.singers]
    unknown = sorted(set(request.speakers) - set(known))
    if unknown:
        raise DataError(f"--speaker {unknown[0]}: no such folder of references; there are {', '.join(known)}")
    return list(request.speakers or known)


def _convert(converter: Converter, planned: Sequence[Case], skipped: list[str]) -> list[Case]:
    done = []
    for case in progress(planned, "convert", "song", len(planned)):
        try:
            case.output.parent.mkdir(parents=True, exist_ok=True)
            audio = files.read(case.song.path)
            made, _ = converter.convert(
                audio, case.target, transpose=0.0 if case.song.singer == case.target else "auto"
            )
            files.write(case.output, made)
            done.append(case)
        except SvcError as error:
            skipped.append(str(error))
        except OSError as error:
            raise DataError(f"{case.output}: cannot be written ({error.strerror}); choose another -o") from None
    return done
