"""One song at a time: each conversion of it, and what it stands between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.errors import SvcError
from svc.evaluation import baselines, protocol
from svc.evaluation.evaluator import Heard, Panel, read
from svc.evaluation.metrics.spectral import warped_distances
from svc.evaluation.metrics.table import Row
from svc.evaluation.protocol import Case, Song

Embedding = NDArray[np.float64]

SAME = 0.03  # of the words' distance; a take so near is a copy in another format


@dataclass(slots=True)
class Scored:
    """What came of some cases.

    Attributes:
        rows: a row for each output of each system.
        cases: those that have rows.
        skipped: a sentence for each file that could not be scored.
        truths: the parallel rendition of a conversion, by the conversion's file.
        journeys: target, and embeddings of source and conversion.
    """

    rows: list[Row] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    truths: dict[Path, Path] = field(default_factory=dict)
    journeys: list[tuple[str, Embedding, Embedding]] = field(default_factory=list)

    def add(self, other: "Scored") -> None:
        """More of it."""
        self.rows += other.rows
        self.cases += other.cases
        self.skipped += other.skipped
        self.truths |= other.truths
        self.journeys += other.journeys


def try_read(path: Path, skipped: list[str]) -> Audio | None:
    """A recording, or a sentence more among the skipped."""
    try:
        return read(path)
    except SvcError as error:
        skipped.append(str(error))
        return None


@dataclass(slots=True)
class Scorer:
    """Scores all that was made of a song.

    Attributes:
        panel: the judges.
        enrolled: the recordings that singers are known by.
        parallel: folder of the targets' own renditions, and of other takes of the sources, if there is one.
        made: whether there are conversions, or only floor and ceiling to measure.
    """

    panel: Panel
    enrolled: Mapping[str, Sequence[Audio]]
    parallel: Path | None
    made: bool
    _portraits: dict[str, baselines.Portrait] = field(default_factory=dict)

    def song(self, planned: Sequence[Case]) -> Scored:
        """All cases of one song, which is heard once; what cannot be scored is left out with its reason."""
        found = Scored()
        audio = try_read(planned[0].song.path, found.skipped)
        source = self.panel.hear(audio) if audio else None
        if source is None:
            return found
        for case in planned:
            try:
                self._case(case, source, found)
            except SvcError as error:
                found.skipped.append(f"{case.output if self.made else case.song.path}: {error}")
        try:
            found.rows += self._again(planned[0].song, source, found) if found.cases else []
        except SvcError as error:
            found.skipped.append(f"{planned[0].song.path}: another take of it: {error}")
        return found

    def _case(self, case: Case, source: Heard, found: Scored) -> None:
        """A conversion, and what it stands between."""
        song, target = case.song, case.target
        outputs: dict[str, Heard] = {}
        if self.made:
            audio = try_read(case.output, found.skipped)
            if audio is None:
                return
            outputs["voice"] = self.panel.hear(audio)
        other = song.singer != target
        if other:
            outputs |= {"copied": source, "equalised": self._equalised(source, target)}
        takes = self._takes(case, found) if other else []
        rows = {}
        for system, output in outputs.items():
            rows[system] = self.panel.score(output, source, song.singer, target, self._text(song))
            if takes:
                rows[system] |= warped_distances(output=output.audio, truth=takes[0])
        if takes:
            rows["truth"] = self._truth(case, takes, source)
        names: Row = {"song": song.key, "singer": song.singer, "target": target}
        found.rows += [{"system": system} | names | scores for system, scores in rows.items()]
        found.cases.append(case)
        if other and self.made:
            found.journeys.append((target, source.embedding, outputs["voice"].embedding))

    def _truth(self, case: Case, takes: Sequence[Audio], source: Heard) -> dict[str, float]:
        heard = self.panel.hear(takes[0])
        scores = self.panel.identify(heard.embedding, case.song.singer, case.target) | self.panel.opine(heard.audio)
        scores |= self.panel.again(heard, source, self._text(case.song))
        return scores | (warped_distances(output=takes[1], truth=takes[0]) if len(takes) > 1 else {})

    def _again(self, song: Song, source: Heard, found: Scored) -> list[Row]:
        """The singer of the source another time, if that was recorded; the source itself is no other take."""
        paths = protocol.takes(self.parallel, song.singer, song) if self.parallel and song.singer else []
        for path in paths:
            take = try_read(path, found.skipped)
            if take is None or np.array_equal(take.samples, source.audio.samples):
                continue
            names: Row = {"system": "take", "song": song.key, "singer": song.singer, "target": song.singer}
            scores = self.panel.again(self.panel.hear(take), source, self._text(song))
            if not scores["words"] < SAME:
                return [names | scores]
        return []

    def _text(self, song: Song) -> str | None:
        return song.text if self.panel.transcriber else None

    def _takes(self, case: Case, found: Scored) -> list[Audio]:
        """The target's own renditions of a song, the parallel one and perhaps another."""
        if not self.parallel:
            return []
        paths = protocol.takes(self.parallel, case.target, case.song)[:2]
        read = {path: audio for path in paths if (audio := try_read(path, found.skipped))}
        if read:
            found.truths[case.output] = next(iter(read))
        return list(read.values())

    def _equalised(self, source: Heard, target: str) -> Heard:
        """The baseline."""
        if target not in self._portraits:
            recordings = self.enrolled[target]
            self._portraits[target] = baselines.portrait(recordings, [self.panel.track(audio) for audio in recordings])
        return self.panel.hear(baselines.shift_and_equalise(source.audio, source.f0, self._portraits[target]))


def references(panel: Panel, name: str) -> list[Row]:
    """A row for each recording that a singer is known by, left out of what it is compared with."""
    known = panel.identity.clips[name]
    rows: list[Row] = []
    for number, embedding in enumerate(known if len(known) > 1 else []):
        place: Row = {"system": "reference", "song": f"{name}/{number}", "singer": name, "target": name}
        rows.append(place | panel.identify(embedding, name, name))
    return rows
