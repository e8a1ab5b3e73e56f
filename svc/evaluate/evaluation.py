"""An evaluation as it grows: rows of scores, and for each conversion what it stands between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.errors import DataError, SvcError
from svc.evaluate import baselines, cases
from svc.evaluate.cases import Case
from svc.evaluate.measures import Row
from svc.evaluate.panel import Heard, Panel, read
from svc.evaluate.spectrum import warped_distances
from svc.progress import progress

Embedding = NDArray[np.float64]


def try_read(path: Path, skipped: list[str]) -> Audio | None:
    """A recording, or a sentence more among the skipped."""
    try:
        return read(path)
    except SvcError as error:
        skipped.append(str(error))
        return None


@dataclass(slots=True)
class Evaluation:
    """Scores cases song by song; a source is heard once.

    Attributes:
        panel: the judges.
        enrolled: the recordings that singers are known by.
        parallel: folder of the targets' own renditions, if there is one.
        skipped: a sentence for each file that was not scored.
        made: whether there are conversions, or only floor and ceiling to measure.
        rows: a row for each output of each system.
        scored: the cases that have rows.
        truths: the parallel rendition of a conversion, by the conversion's file.
        journeys: target, and embeddings of source and conversion.
    """

    panel: Panel
    enrolled: Mapping[str, Sequence[Audio]]
    parallel: Path | None
    skipped: list[str]
    made: bool
    rows: list[Row] = field(default_factory=list)
    scored: list[Case] = field(default_factory=list)
    truths: dict[Path, Path] = field(default_factory=dict)
    journeys: list[tuple[str, Embedding, Embedding]] = field(default_factory=list)
    _portraits: dict[str, baselines.Portrait] = field(default_factory=dict)

    def score(self, planned: Sequence[Case]) -> None:
        """All cases, and the references of their targets.

        Raises:
            DataError: none could be scored.
        """
        by_song: dict[str, list[Case]] = {}
        for case in planned:
            by_song.setdefault(case.song.key, []).append(case)
        for own in progress(by_song.values(), "judge", "song", len(by_song)):
            audio = try_read(own[0].song.path, self.skipped)
            if audio is None:
                continue
            source = self.panel.hear(audio)
            self.scored += [case for case in own if self._case(case, source)]
        self.skipped[:] = dict.fromkeys(self.skipped)
        if not self.scored:
            raise DataError(f"nothing could be scored: {'; '.join(self.skipped[:3])}")
        for name in dict.fromkeys(case.target for case in self.scored):
            self._references(name)

    def _case(self, case: Case, source: Heard) -> bool:
        """A conversion, and what it stands between; whether it could be scored."""
        song, target = case.song, case.target
        outputs: dict[str, Heard] = {}
        if self.made:
            audio = try_read(case.output, self.skipped)
            if audio is None:
                return False
            outputs["voice"] = self.panel.hear(audio)
        if song.singer != target:
            outputs["copied"] = source
            outputs["equalised"] = self._equalised(source, target)
        takes = self._takes(case)
        rows = []
        for system, output in outputs.items():
            try:
                scores = self.panel.score(output, source, song.singer, target, song.text)
            except DataError as error:
                self.skipped.append(f"{case.output}: {error}")
                return False
            if takes and song.singer != target:
                scores |= warped_distances(output=output.audio, truth=takes[0])
            rows.append(self._row(system, case, scores))
        if takes and song.singer != target:
            heard = self.panel.hear(takes[0])
            scores = self.panel.identify(heard, song.singer, target) | self.panel.opine(heard.audio)
            if len(takes) > 1:
                scores |= warped_distances(output=takes[1], truth=takes[0])
            rows.append(self._row("truth", case, scores))
        self.rows += rows
        if "voice" in outputs and song.singer != target:
            self.journeys.append((target, source.embedding, outputs["voice"].embedding))
        return True

    def _takes(self, case: Case) -> list[Audio]:
        """The target's own renditions of a song, the parallel one and perhaps another."""
        if not self.parallel:
            return []
        paths = cases.takes(self.parallel, case.target, case.song)[:2]
        read = {path: audio for path in paths if (audio := try_read(path, self.skipped))}
        if read:
            self.truths[case.output] = next(iter(read))
        return list(read.values())

    def _equalised(self, source: Heard, target: str) -> Heard:
        """The baseline."""
        if target not in self._portraits:
            recordings = self.enrolled[target]
            self._portraits[target] = baselines.portrait(recordings, [self.panel.track(audio) for audio in recordings])
        return self.panel.hear(baselines.shift_and_equalise(source.audio, source.f0, self._portraits[target]))

    def _references(self, name: str) -> None:
        """What a singer is known by, each left out of what it is compared with."""
        known = self.panel.identity.clips[name]
        for number, embedding in enumerate(known if len(known) > 1 else []):
            alike = self.panel.identity.cosines(embedding)
            named = max(alike, key=lambda other: alike[other])
            self.rows.append(
                {
                    "system": "reference",
                    "song": f"{name}/{number}",
                    "singer": name,
                    "target": name,
                    "cosine": alike[name],
                    "named_target": float(named == name),
                }
            )

    @staticmethod
    def _row(system: str, case: Case, scores: dict[str, float]) -> Row:
        """A row of the scores."""
        return {"system": system, "song": case.song.key, "singer": case.song.singer, "target": case.target} | scores
