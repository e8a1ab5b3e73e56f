"""Scores all conversions of all songs, with the source and the target's own performance beside them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from svc.audio.files import Audio
from svc.audio.levels import level_by_band
from svc.errors import AudioError, DataError, SvcError
from svc.evaluation.evaluator import AnalysedAudio, Evaluator, read_audio
from svc.evaluation.metrics.spectral import mcd_after_dtw
from svc.evaluation.metrics.table import Row
from svc.evaluation.songs import ConversionPair, find_parallel_takes
from svc.utils.progress import progress


@dataclass(slots=True)
class SongScores:
    """Scores of one or more songs."""

    rows: list[Row] = field(default_factory=list)  # one for each output of each system
    pairs: list[ConversionPair] = field(default_factory=list)  # those that have rows
    skipped: list[str] = field(default_factory=list)  # a sentence for each file that could not be scored
    truths: dict[Path, Path] = field(default_factory=dict)  # the target's own performance, by the conversion


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores, with the evaluator and the enrolment recordings behind them, and notes for the report."""

    scores: SongScores
    evaluator: Evaluator
    enrolment: Mapping[str, Sequence[Audio]]
    notes: list[str] = field(default_factory=list)


def score_all(
    evaluator: Evaluator, pairs: Sequence[ConversionPair], parallel: Path | None = None, jobs: int = 1
) -> SongScores:
    """Score all pairs, song by song in several threads, and the enrolment recordings of their targets.

    The targets' own performances are in the folder ``parallel``.

    Raises:
        DataError: nothing could be scored.
    """
    by_song: dict[str, list[ConversionPair]] = {}
    for pair in pairs:
        by_song.setdefault(pair.song.id, []).append(pair)
    scores = SongScores()
    with ThreadPoolExecutor(jobs) as pool:
        songs = pool.map(lambda own: _score_song(evaluator, own, parallel), by_song.values())
        for song in progress(songs, "evaluate", "song", len(by_song)):
            scores.rows += song.rows
            scores.pairs += song.pairs
            scores.skipped += song.skipped
            scores.truths |= song.truths
    if not scores.pairs:
        raise DataError(f"nothing could be scored: {'; '.join(scores.skipped[:3])}")
    for name in dict.fromkeys(pair.target for pair in scores.pairs):
        scores.rows += _score_enrolment(evaluator, name)
    return scores


def _score_song(evaluator: Evaluator, pairs: Sequence[ConversionPair], parallel: Path | None) -> SongScores:
    """All conversions of one song, which is analysed once; what cannot be scored is skipped with its reason."""
    scores = SongScores()
    audio = read_or_skip(pairs[0].song.path, scores.skipped)
    if audio is None:
        return scores
    source = evaluator.analyse(audio)
    for pair in pairs:
        try:
            scores.rows += _score_pair(evaluator, pair, source, parallel, scores)
            scores.pairs.append(pair)
        except AudioError as error:  # names its file
            scores.skipped.append(str(error))
        except SvcError as error:
            scores.skipped.append(f"{pair.output}: {error}")
    return scores


def _score_pair(
    evaluator: Evaluator, pair: ConversionPair, source: AnalysedAudio, parallel: Path | None, scores: SongScores
) -> list[Row]:
    """A row for each system; the truth is noted in the scores."""
    song, target = pair.song, pair.target
    text = song.text if evaluator.asr else None
    outputs = {"voice": evaluator.analyse(read_audio(pair.output))}
    if pair.source_filter and (alone := read_or_skip(pair.source_filter, scores.skipped)):
        outputs["source_filter"] = evaluator.analyse(alone)
    truths: list[Audio] = []
    if song.speaker != target:
        outputs["copied"] = source
        paths = find_parallel_takes(parallel, target, song)[:2] if parallel else []
        takes = {path: audio for path in paths if (audio := read_or_skip(path, scores.skipped))}
        truths = list(takes.values())
        if takes:
            scores.truths[pair.output] = next(iter(takes))
    rows = {}
    for system, output in outputs.items():
        rows[system] = evaluator.score(output, source, song.speaker, target, text)
        if truths:
            rows[system]["mcd"] = mcd_after_dtw(output=output.audio, truth=truths[0])
    if "source_filter" in outputs:
        rows["voice"] |= _wavenet_levels(outputs["voice"].audio, outputs["source_filter"].audio)
    if truths:
        truth = evaluator.analyse(truths[0])
        rows["truth"] = evaluator.identify_speaker(truth.embedding, song.speaker, target) | truth.mos
        rows["truth"] |= evaluator.compare_transcripts(truth, source, text)
        if len(truths) > 1:
            rows["truth"]["mcd"] = mcd_after_dtw(output=truths[1], truth=truths[0])
    names = {"song": song.id, "speaker": song.speaker, "target": target}
    return [{"system": system} | names | row for system, row in rows.items()]


def _score_enrolment(evaluator: Evaluator, name: str) -> list[Row]:
    """A row for each enrolment recording of a speaker, compared with the others (leave one out)."""
    embeddings = evaluator.similarity.clips[name]
    rows: list[Row] = []
    for number, embedding in enumerate(embeddings if len(embeddings) > 1 else []):
        names: Row = {"system": "reference", "song": f"{name}/{number}", "speaker": name, "target": name}
        rows.append(names | evaluator.identify_speaker(embedding, name, name))
    return rows


def read_or_skip(path: Path, skipped: list[str]) -> Audio | None:
    """Read a recording, or append the reason to the skipped."""
    try:
        return read_audio(path)
    except SvcError as error:
        skipped.append(str(error))
        return None


def _wavenet_levels(whole: Audio, source_filter: Audio) -> Row:
    count = min(len(whole.samples), len(source_filter.samples))
    part = whole.samples[:count] - source_filter.samples[:count]
    levels = level_by_band(part, whole.samples[:count], whole.rate)
    return {f"wavenet_{band}": level for band, level in levels.items()}
