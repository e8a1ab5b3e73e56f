"""The judges of an evaluation, and what they say of one recording beside another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from svc.audio import files
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.errors import DataError
from svc.evaluation.metrics import artifacts, mos, spectral, transcript
from svc.evaluation.metrics import content as content_metric
from svc.evaluation.metrics import f0 as f0_metric
from svc.evaluation.metrics import speaker as speaker_metric
from svc.evaluation.metrics.f0 import Curve, Scores
from svc.evaluation.metrics.speaker import Vector

ALIKE = 0.05  # cosine between floor and ceiling, below which there is no way to go
LONGER = 0.05  # of its source's length that an output may be longer or shorter


@dataclass(frozen=True, slots=True)
class Judges:
    """Which judges sit on the panel, by name."""

    pitch: str = "praat"
    identity: str = "resemblyzer"
    words: str = content_metric.DEFAULT
    opinions: tuple[str, ...] = ()
    transcribe: str = ""  # sphinx, or Whisper's size or folder, or nobody
    language: str = "en"
    vocabulary: tuple[str, ...] = ()  # that sphinx chooses from


@dataclass(frozen=True)
class Heard:
    """A recording and what a panel hears in it, each once and only when asked."""

    audio: Audio
    panel: "Panel"

    @cached_property
    def f0(self) -> Curve:
        """Melody (N,) in Hz, 0 where unvoiced."""
        return self.panel.track(self.audio)

    @cached_property
    def embedding(self) -> Vector:
        """Who sings: unit vector (D,)."""
        return self.panel.identity.embed(self.audio)

    @cached_property
    def content(self) -> content_metric.Content:
        """What is sung: (C, N)."""
        return self.panel.words.content(self.audio)

    @cached_property
    def transcript(self) -> str:
        """The words, as a recogniser hears them."""
        return self.panel.transcriber.transcribe(self.audio) if self.panel.transcriber else ""


def read(path: Path) -> Audio:
    """A checked recording on the clock: at its own rate, or at 24 kHz if that has no whole samples in 10 ms."""
    audio = files.read(path)
    return audio if audio.rate % 100 == 0 else resample(audio, 24_000)


class Panel:
    """Listens to recordings, and scores them.

    Args:
        judges: who sits on it.
        enrolment: recordings of every singer.
        described: what another panel of these judges made of those, to be spared the time.
    """

    def __init__(
        self, judges: Judges, enrolment: Mapping[str, Sequence[Audio]], described: Mapping[str, Vector] | None = None
    ):
        self.judges = judges
        self.track = f0_metric.tracker(judges.pitch)
        self.words = content_metric.judge_by_name(judges.words)
        self.opinions = [mos.opinion_by_name(name) for name in judges.opinions]
        self.transcriber = transcript.transcriber(judges.transcribe, judges.language, judges.vocabulary)
        self.identity = speaker_metric.judge(judges.identity, enrolment, described)

    def hear(self, audio: Audio) -> Heard:
        """A recording to be asked about."""
        return Heard(audio, self)

    def score(self, output: Heard, source: Heard, singer: str, target: str, text: str | None = None) -> Scores:
        """Everything that can be said of an output beside its source, both on one clock.

        Args:
            output: what was made.
            source: of what.
            singer: who sings the source, or nothing.
            target: who should sing the output.
            text: the words, where they are known.

        Raises:
            DataError: their lengths differ by more than a twentieth.
        """
        if abs(output.audio.seconds / source.audio.seconds - 1) > LONGER:
            long = f"{output.audio.seconds:.1f} s long, its source {source.audio.seconds:.1f} s"
            raise DataError(f"{long}; give conversions that keep the timing")
        scores = f0_metric.melody_scores(sung=output.f0, asked=source.f0)
        scores |= f0_metric.loudness_scores(output=output.audio, source=source.audio)
        scores |= self.identify(output.embedding, singer, target, source.embedding)
        if singer != target:
            scores |= self.approach(output, source, target)
        scores["words"] = content_metric.word_error(source.content, output.content, source.audio)
        scores |= artifacts.measure(source.audio, output.audio, source.f0, output.f0)
        if singer == target:
            scores["stft"] = spectral.stft_distance(output=output.audio, truth=source.audio)
            scores["mcd_aligned"] = spectral.cepstral_distance(output=output.audio, truth=source.audio)
        return scores | self.compare_transcripts(output, source, text) | self.opine(output.audio)

    def identify(self, output: Vector, singer: str, target: str, *apart: Vector) -> Scores:
        """Who an output is taken for.

        Args:
            output: embedding of what was made.
            singer: who sings the source, or nothing.
            target: who should sing the output.
            apart: embeddings of recordings that it came from, by which nobody may be known then.

        Returns:
            ``cosine`` to the target; ``named_target`` and ``named_source``, 1 where the target, or the source's
            singer, is the likeliest of all enrolled; NaN where that cannot be told.
        """
        alike = self.identity.cosines(output, *apart)
        told = {name: cosine for name, cosine in alike.items() if not math.isnan(cosine)}
        named = max(told, key=lambda name: told[name]) if len(told) > 1 else None
        other = singer in told and singer != target
        return {
            "cosine": alike[target],
            "named_target": float(named == target) if named and target in told else math.nan,
            "named_source": float(named == singer) if named and other else math.nan,
        }

    def approach(self, output: Heard, source: Heard, target: str) -> Scores:
        """How far a conversion went.

        Returns:
            ``cosine_source`` between both recordings, and ``likeness``, the share of the way from the source's cosine
            to that of the target's own recordings, NaN where the source is about as like the target as those are.
        """
        floor, ceiling = self.identity.likeness(source.embedding, target), self.identity.ceiling(target)
        way = ceiling - floor if ceiling > floor + ALIKE else math.nan
        return {
            "cosine_source": float(source.embedding @ output.embedding),
            "likeness": (self.identity.likeness(output.embedding, target) - floor) / way,
        }

    def again(self, take: Heard, source: Heard, text: str | None = None) -> Scores:
        """The words of another rendition of a source: their distance on its clock (NaN if too short), and transcripts.

        Warping flatters: other words brought onto the clock so read less than 1.
        """
        scores = self.compare_transcripts(take, source, text)
        frames = spectral.on_clock(take=take.audio, source=source.audio)
        if frames is None:
            return scores | {"words": math.nan}
        content = take.content[:, np.minimum(frames, take.content.shape[1] - 1)]
        return scores | {"words": content_metric.word_error(source.content, content, source.audio)}

    def compare_transcripts(self, output: Heard, source: Heard, text: str | None = None) -> Scores:
        """What a recogniser makes of an output, if one was asked for, beside what it makes of the source."""
        if not self.transcriber:
            return {}
        return transcript.transcript_errors(output.transcript, source.transcript, text)

    def opine(self, audio: Audio) -> Scores:
        """Predicted opinions, of the judges that were asked for."""
        return {name: value for judge in self.opinions for name, value in judge.scores(audio).items()}
