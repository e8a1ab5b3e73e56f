"""Scores all conversions of all songs, with the source, a DSP baseline and the target's own performance beside them."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from svc.audio.files import Audio
from svc.audio.levels import level_by_band
from svc.errors import DataError, SvcError
from svc.evaluation import protocol
from svc.evaluation.baselines import SpeakerSpectrum, measure_speaker, shift_and_equalise
from svc.evaluation.evaluator import AnalysedAudio, Evaluator, EvaluatorConfig, read_audio
from svc.evaluation.metrics.speaker import Vector
from svc.evaluation.metrics.spectral import warped_distances
from svc.evaluation.metrics.table import Row
from svc.evaluation.protocol import ConversionPair, Song
from svc.utils.progress import progress

MIN_SONGS = 8  # for each process: it takes some seconds to start
SAME = 0.03  # content distance below which another take is a copy in another format
Enrolment = Mapping[str, Sequence[Audio]]


@dataclass(slots=True)
class SongScores:
    """Scores of one or more songs.

    Attributes:
        rows: one for each output of each system.
        pairs: those that have rows.
        skipped: a sentence for each file that could not be scored.
        truths: the target's own performance, by the file of the conversion.
        source_to_output: target, and speaker embeddings of source and conversion.
    """

    rows: list[Row] = field(default_factory=list)
    pairs: list[ConversionPair] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    truths: dict[Path, Path] = field(default_factory=dict)
    source_to_output: list[tuple[str, Vector, Vector]] = field(default_factory=list)

    def add(self, other: "SongScores") -> None:
        """Append the scores of other songs."""
        self.rows += other.rows
        self.pairs += other.pairs
        self.skipped += other.skipped
        self.truths |= other.truths
        self.source_to_output += other.source_to_output


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores, with the evaluator and the enrolment recordings behind them, and notes for the report."""

    scores: SongScores
    evaluator: Evaluator
    enrolment: Enrolment
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScoringPlan:
    """What a process needs to score any song.

    Attributes:
        spectra: of the target speakers, for the DSP baseline.
        parallel: folder of the targets' own performances and of other takes of the sources, if there is one.
        has_conversions: or only the source, the baseline and the truth are scored.
    """

    spectra: Mapping[str, SpeakerSpectrum]
    parallel: Path | None
    has_conversions: bool


def score_all(
    pairs: Sequence[ConversionPair],
    evaluator: Evaluator,
    enrolment: Enrolment,
    parallel: Path | None,
    *,
    has_conversions: bool,
    jobs: int,
) -> Evaluation:
    """Score all pairs, song by song on several cores, and the enrolment recordings of their targets.

    Raises:
        DataError: nothing could be scored, or a process died.
    """
    by_song: dict[str, list[ConversionPair]] = {}
    for pair in pairs:
        by_song.setdefault(pair.song.id, []).append(pair)
    songs, scores = list(by_song.values()), SongScores()
    targets = dict.fromkeys(pair.target for pair in pairs if pair.target != pair.song.speaker)
    spectra = {
        name: measure_speaker(enrolment[name], [evaluator.track_f0(audio) for audio in enrolment[name]])
        for name in progress(targets, "measure targets", "speaker", len(targets))
    }
    plan = ScoringPlan(spectra, parallel, has_conversions)
    try:
        for song in progress(_map_songs(songs, evaluator, plan, jobs), "evaluate", "song", len(songs)):
            scores.add(song)
    except BrokenProcessPool:
        raise DataError("a process was killed, perhaps for lack of memory; use fewer --jobs") from None
    if not scores.pairs:
        raise DataError(f"nothing could be scored: {'; '.join(scores.skipped[:3])}")
    for name in dict.fromkeys(pair.target for pair in scores.pairs):
        scores.rows += score_enrolment(evaluator, name)
    return Evaluation(scores, evaluator, enrolment)


def read_or_skip(path: Path, skipped: list[str]) -> Audio | None:
    """Read a recording, or append the reason to the skipped."""
    try:
        return read_audio(path)
    except SvcError as error:
        skipped.append(str(error))
        return None


@dataclass(slots=True)
class SongScorer:
    """Scores the conversions of one song after another."""

    evaluator: Evaluator
    plan: ScoringPlan

    def score(self, pairs: Sequence[ConversionPair]) -> SongScores:
        """All conversions of one song, which is analysed once; what cannot be scored is skipped with its reason."""
        scores, song = SongScores(), pairs[0].song
        audio = read_or_skip(song.path, scores.skipped)
        if audio is None:
            return scores
        source = self.evaluator.analyse(audio)
        for pair in pairs:
            try:
                self._score_pair(pair, source, scores)
            except SvcError as error:
                scores.skipped.append(f"{pair.output if self.plan.has_conversions else song.path}: {error}")
        try:
            scores.rows += self._score_other_take(song, source, scores) if scores.pairs else []
        except SvcError as error:
            scores.skipped.append(f"{song.path}: another take of it: {error}")
        return scores

    def _score_pair(self, pair: ConversionPair, source: AnalysedAudio, scores: SongScores) -> None:
        song, target = pair.song, pair.target
        converted = song.speaker != target
        outputs: dict[str, AnalysedAudio] = {}
        if self.plan.has_conversions:
            audio = read_or_skip(pair.output, scores.skipped)
            if audio is None:
                return
            outputs["voice"] = self.evaluator.analyse(audio)
            if pair.source_filter and (alone := read_or_skip(pair.source_filter, scores.skipped)):
                outputs["source_filter"] = self.evaluator.analyse(alone)
        if converted:
            baseline = shift_and_equalise(source.audio, source.f0, self.plan.spectra[target])
            outputs |= {"copied": source, "equalised": self.evaluator.analyse(baseline)}
        takes = self._read_takes(pair, scores) if converted else []
        rows = {}
        for system, output in outputs.items():
            rows[system] = self.evaluator.score(output, source, song.speaker, target, self._text(song))
            if takes:
                rows[system] |= warped_distances(output=output.audio, truth=takes[0])
        if "source_filter" in outputs:
            rows["voice"] |= _wavenet_levels(outputs["voice"].audio, outputs["source_filter"].audio)
        if takes:
            rows["truth"] = self._score_truth(pair, takes, source)
        names: Row = {"song": song.id, "speaker": song.speaker, "target": target}
        scores.rows += [{"system": system} | names | row for system, row in rows.items()]
        scores.pairs.append(pair)
        if converted and self.plan.has_conversions:
            scores.source_to_output.append((target, source.embedding, outputs["voice"].embedding))

    def _score_truth(self, pair: ConversionPair, takes: Sequence[Audio], source: AnalysedAudio) -> dict[str, float]:
        truth = self.evaluator.analyse(takes[0])
        row = self.evaluator.identify_speaker(truth.embedding, pair.song.speaker, pair.target) | truth.mos
        row |= self.evaluator.score_other_take(truth, source, self._text(pair.song))
        return row | (warped_distances(output=takes[1], truth=takes[0]) if len(takes) > 1 else {})

    def _score_other_take(self, song: Song, source: AnalysedAudio, scores: SongScores) -> list[Row]:
        """Another take of the source by its speaker, if there is one that is no copy of it."""
        parallel = self.plan.parallel
        paths = protocol.find_parallel_takes(parallel, song.speaker, song) if parallel and song.speaker else []
        for path in paths:
            take = read_or_skip(path, scores.skipped)
            if take is None or np.array_equal(take.samples, source.audio.samples):
                continue
            names: Row = {"system": "take", "song": song.id, "speaker": song.speaker, "target": song.speaker}
            row = self.evaluator.score_other_take(self.evaluator.analyse(take), source, self._text(song))
            if not row["content_distance"] < SAME:
                return [names | row]
        return []

    def _text(self, song: Song) -> str | None:
        return song.text if self.evaluator.asr else None

    def _read_takes(self, pair: ConversionPair, scores: SongScores) -> list[Audio]:
        """Up to two of the target's own performances of a song."""
        if not self.plan.parallel:
            return []
        paths = protocol.find_parallel_takes(self.plan.parallel, pair.target, pair.song)[:2]
        takes = {path: audio for path in paths if (audio := read_or_skip(path, scores.skipped))}
        if takes:
            scores.truths[pair.output] = next(iter(takes))
        return list(takes.values())


def score_enrolment(evaluator: Evaluator, name: str) -> list[Row]:
    """A row for each enrolment recording of a speaker, compared with the others (leave one out)."""
    embeddings = evaluator.similarity.clips[name]
    rows: list[Row] = []
    for number, embedding in enumerate(embeddings if len(embeddings) > 1 else []):
        names: Row = {"system": "reference", "song": f"{name}/{number}", "speaker": name, "target": name}
        rows.append(names | evaluator.identify_speaker(embedding, name, name))
    return rows


def _wavenet_levels(whole: Audio, source_filter: Audio) -> Row:
    count = min(len(whole.samples), len(source_filter.samples))
    part = whole.samples[:count] - source_filter.samples[:count]
    levels = level_by_band(part, whole.samples[:count], whole.rate)
    return {f"wavenet_{band}": level for band, level in levels.items()}


def _map_songs(
    songs: Sequence[Sequence[ConversionPair]], evaluator: Evaluator, plan: ScoringPlan, jobs: int
) -> Iterator[SongScores]:
    jobs = min(jobs, len(songs) // MIN_SONGS)
    if jobs < 2:
        yield from map(SongScorer(evaluator, plan).score, songs)
        return
    arguments = (evaluator.config, evaluator.similarity.cached_embeddings, plan)
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_start, initargs=arguments) as pool:
        yield from pool.map(_score_song, songs)


_scorer: SongScorer  # of this process


def _start(config: EvaluatorConfig, embeddings: Mapping[str, Vector], plan: ScoringPlan) -> None:
    global _scorer
    torch.set_num_threads(1)
    _scorer = SongScorer(Evaluator(config, {}, embeddings), plan)


def _score_song(pairs: Sequence[ConversionPair]) -> SongScores:
    return _scorer.score(pairs)
