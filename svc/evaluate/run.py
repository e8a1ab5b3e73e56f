"""The walk of an evaluation: who is known, who sings what, conversions, scores."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from svc.audio import files
from svc.audio.files import Audio
from svc.convert import Converter
from svc.errors import DataError, SvcError
from svc.evaluate import cases
from svc.evaluate.cases import Case, Song
from svc.evaluate.evaluation import Evaluation, score
from svc.evaluate.panel import Judges, Panel
from svc.evaluate.scoring import try_read
from svc.progress import progress

REFERENCES = 10  # recordings that each singer is known by, at most


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is to be judged.

    Attributes:
        sources: ``DIR/<singer>/**/*``, or ``DIR/*``.
        references: ``DIR/<singer>/**/*``; the sources themselves if not given.
        parallel: ``DIR/<singer>/<song>.*``, if there is such a thing.
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
        DataError: folders hold nothing usable, or a target has no references.
    """
    songs = cases.songs(request.sources)
    skipped: list[str] = []
    enrolled = _enrol(request, songs, skipped)
    wanted = _targets(request, converter, list(enrolled))
    planned = cases.plan(songs, wanted, request.targets, request.out / "converted")
    if request.converted:
        planned, strangers = cases.ready(songs, request.converted)
        planned = [case for case in planned if case.target in wanted or not request.speakers]
        skipped += strangers
    unknown = sorted({case.target for case in planned} - enrolled.keys())
    if unknown:
        raise DataError(f"no recordings to know {', '.join(unknown)} by; put some in a folder for --references")
    panel = Panel(request.judges, enrolled)
    if converter and not request.converted:
        planned = _convert(converter, planned, skipped)
    made = converter is not None or request.converted is not None
    if not made:
        planned = [case for case in planned if case.target != case.song.singer]
    jobs = request.jobs or os.cpu_count() or 1
    found = score(planned, panel, enrolled, request.parallel, made=made, jobs=jobs)
    found.scored.skipped[:] = dict.fromkeys(skipped + found.scored.skipped)
    return found


def _enrol(request: Request, songs: Sequence[Song], skipped: list[str]) -> dict[str, list[Audio]]:
    """Some recordings of every singer, evenly from all there are."""
    if request.references:
        known = cases.singers(request.references, "--references")
    else:
        known = {name: [s.path for s in songs if s.singer == name] for name in {s.singer: 0 for s in songs} if name}
    enrolled: dict[str, list[Audio]] = {}
    chosen = [(name, path) for name, paths in known.items() for path in _evenly(paths, REFERENCES)]
    for name, path in progress(chosen, "enrol", "file", len(chosen)):
        audio = try_read(path, skipped)
        if audio:
            enrolled.setdefault(name, []).append(audio)
    if not enrolled:
        raise DataError(f"{request.sources}: nobody to compare with; name a folder of singers with --references")
    return enrolled


def _evenly(paths: Sequence[Path], count: int) -> list[Path]:
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[place] for place in places]


def _targets(request: Request, converter: Converter | None, enrolled: list[str]) -> list[str]:
    if converter:
        voice = converter.voice
        if request.speakers:
            return [voice.singers[voice.number(name)].name for name in request.speakers]
        return [singer.name for singer in voice.singers]
    unknown = sorted(set(request.speakers) - set(enrolled))
    if unknown:
        raise DataError(f"--speaker {unknown[0]}: no such folder of references; there are {', '.join(enrolled)}")
    return list(request.speakers or enrolled)


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
