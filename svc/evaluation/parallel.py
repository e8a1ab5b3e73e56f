"""All cases scored, song by song, on as many cores as there are."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from svc.audio.files import Audio
from svc.errors import DataError
from svc.evaluation.evaluator import Judges, Panel
from svc.evaluation.metrics.speaker import Vector
from svc.evaluation.protocol import Case
from svc.evaluation.scoring import Scored, Scorer, references
from svc.utils.progress import progress

FEW = 8  # songs for each process, at least: it takes some seconds to start
Enrolled = Mapping[str, Sequence[Audio]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of all cases, and the judges, and the recordings that they know singers by."""

    scored: Scored
    panel: Panel
    enrolled: Enrolled


def score(
    planned: Sequence[Case], panel: Panel, enrolled: Enrolled, parallel: Path | None, *, made: bool, jobs: int
) -> Evaluation:
    """Score all cases, and the references of their targets.

    Args:
        planned: who sings what.
        panel: the judges.
        enrolled: the recordings that singers are known by.
        parallel: folder of the targets' own renditions, if there is one.
        made: whether there are conversions, or only floor and ceiling to measure.
        jobs: processes, at most.

    Raises:
        DataError: none could be scored, or a process died.
    """
    scorer = Scorer(panel, enrolled, parallel, made)
    by_song: dict[str, list[Case]] = {}
    for case in planned:
        by_song.setdefault(case.song.key, []).append(case)
    songs, whole = list(by_song.values()), Scored()
    try:
        for found in progress(_each(songs, scorer, jobs), "judge", "song", len(songs)):
            whole.add(found)
    except BrokenProcessPool:
        raise DataError("a process was ended from outside, for want of memory?; use fewer --jobs") from None
    if not whole.cases:
        raise DataError(f"nothing could be scored: {'; '.join(whole.skipped[:3])}")
    for name in dict.fromkeys(case.target for case in whole.cases):
        whole.rows += references(panel, name)
    return Evaluation(whole, panel, enrolled)


def _each(songs: Sequence[Sequence[Case]], scorer: Scorer, jobs: int) -> Iterator[Scored]:
    jobs = min(jobs, len(songs) // FEW)
    if jobs < 2:
        yield from map(scorer.song, songs)
        return
    panel = scorer.panel
    known = (panel.judges, panel.identity.described, scorer.enrolled, scorer.parallel, scorer.made)
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_start, initargs=known) as pool:
        yield from pool.map(_song, songs)


_scorer: Scorer  # of a process


def _start(
    judges: Judges, described: Mapping[str, Vector], enrolled: Enrolled, parallel: Path | None, made: bool
) -> None:
    global _scorer
    torch.set_num_threads(1)
    _scorer = Scorer(Panel(judges, enrolled, described), enrolled, parallel, made)


def _song(planned: Sequence[Case]) -> Scored:
    return _scorer.song(planned)
