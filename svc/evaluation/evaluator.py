"""All metrics of one recording against another, computed once per recording."""

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

MIN_GAP = 0.05  # cosine between source and target below which progress is undefined
MAX_LENGTH_DIFFERENCE = 0.05  # of the source's length


@dataclass(frozen=True, slots=True)
class EvaluatorConfig:
    """Which networks and trackers measure, by name."""

    f0_tracker: str = "praat"
    speaker_encoder: str = "resemblyzer"
    content_metric: str = content_metric.DEFAULT
    mos: tuple[str, ...] = ()
    asr: str = ""  # sphinx, or the size or folder of a Whisper model
    language: str = "en"
    vocabulary: tuple[str, ...] = ()  # for sphinx


@dataclass(frozen=True)
class AnalysedAudio:
    """A recording with its analyses, each computed on first use."""

    audio: Audio
    evaluator: "Evaluator"

    @cached_property
    def f0(self) -> Curve:
        """f0 (N,) in Hz, 0 where unvoiced."""
        return self.evaluator.track_f0(self.audio)

    @cached_property
    def embedding(self) -> Vector:
        """Speaker embedding: unit vector (D,)."""
        return self.evaluator.similarity.embed(self.audio)

    @cached_property
    def content(self) -> content_metric.Content:
        """Content features (C, N)."""
        return self.evaluator.content_metric.content(self.audio)

    @cached_property
    def transcript(self) -> str:
        """ASR transcript; empty without ASR."""
        return self.evaluator.asr.transcribe(self.audio) if self.evaluator.asr else ""

    @cached_property
    def mos(self) -> Scores:
        """Predicted mean opinion scores by name."""
        predictors = self.evaluator.mos_predictors
        return {name: value for predictor in predictors for name, value in predictor.scores(self.audio).items()}


def read_audio(path: Path) -> Audio:
    """Read a recording; resample it to 24 kHz if 10 ms are no whole number of samples at its rate."""
    audio = files.read(path)
    return audio if audio.rate % 100 == 0 else resample(audio, 24_000)


class Evaluator:
    """Computes all configured metrics.

    Args:
        config: names of the metrics.
        enrolment: recordings of every speaker.
        cached_embeddings: raw embeddings of those, if another evaluator of the same config has computed them.
    """

    def __init__(
        self,
        config: EvaluatorConfig,
        enrolment: Mapping[str, Sequence[Audio]],
        cached_embeddings: Mapping[str, Vector] | None = None,
    ):
        self.config = config
        self.track_f0 = f0_metric.load_tracker(config.f0_tracker)
        self.content_metric = content_metric.load_content_metric(config.content_metric)
        self.mos_predictors = [mos.load_mos_predictor(name) for name in config.mos]
        self.asr = transcript.load_asr(config.asr, config.language, config.vocabulary)
        self.similarity = speaker_metric.load_speaker_similarity(config.speaker_encoder, enrolment, cached_embeddings)

    def analyse(self, audio: Audio) -> AnalysedAudio:
        """A recording whose analyses are computed on first use."""
        return AnalysedAudio(audio, self)

    def score(
        self, output: AnalysedAudio, source: AnalysedAudio, speaker: str, target: str, text: str | None = None
    ) -> Scores:
        """All scores of an output that keeps the timing of its source.

        Args:
            output: conversion, or reconstruction if ``speaker`` is ``target``.
            source: its source.
            speaker: speaker of the source, or an empty string.
            target: speaker that the output should sound like.
            text: the lyrics, if available.

        Raises:
            DataError: the lengths differ by more than 5 %.
        """
        if abs(output.audio.seconds / source.audio.seconds - 1) > MAX_LENGTH_DIFFERENCE:
            lengths = f"{output.audio.seconds:.1f} s long, its source {source.audio.seconds:.1f} s"
            raise DataError(f"{lengths}; give conversions that keep the timing")
        scores = f0_metric.f0_scores(output_f0=output.f0, reference_f0=source.f0)
        scores |= f0_metric.loudness_scores(output=output.audio, source=source.audio)
        scores |= self.identify_speaker(output.embedding, speaker, target, source.embedding)
        if speaker != target:
            scores |= self.conversion_progress(output, source, target)
        scores["content_distance"] = content_metric.content_distance(source.content, output.content, source.audio)
        scores |= artifacts.measure(source.audio, output.audio, source.f0, output.f0)
        if speaker == target:
            scores["stft"] = spectral.stft_distance(output=output.audio, truth=source.audio)
            scores["mcd_aligned"] = spectral.mcd(output=output.audio, truth=source.audio)
        scores |= output.mos | {f"{name}_source": value for name, value in source.mos.items()}
        return scores | self.compare_transcripts(output, source, text)

    def identify_speaker(self, output: Vector, speaker: str, target: str, *exclude: Vector) -> Scores:
        """Closed-set speaker identification of an output.

        Args:
            output: embedding of the output.
            speaker: speaker of the source, or an empty string.
            target: speaker that the output should sound like.
            exclude: embeddings of recordings to leave out of the enrolment, such as the source.

        Returns:
            ``cosine`` to the target, ``cosine_prompt`` to its longest enrolment recording; ``named_target`` and
            ``named_source``, 1 where the target, or the speaker of the source, is the closest of all enrolled speakers;
            NaN where that is undefined.
        """
        cosines = self.similarity.cosines(output, *exclude)
        defined = {name: cosine for name, cosine in cosines.items() if not math.isnan(cosine)}
        closest = max(defined, key=lambda name: defined[name]) if len(defined) > 1 else None
        other = speaker in defined and speaker != target
        return {
            "cosine": cosines[target],
            "cosine_prompt": self.similarity.prompt_cosine(output, target, *exclude),
            "named_target": float(closest == target) if closest and target in defined else math.nan,
            "named_source": float(closest == speaker) if closest and other else math.nan,
        }

    def conversion_progress(self, output: AnalysedAudio, source: AnalysedAudio, target: str) -> Scores:
        """How far a conversion moved from its source to the target speaker.

        Returns:
            ``cosine_source``, between output and source, and ``progress``: 0 at the cosine of the source to the
            target, 1 at that of the target's own recordings; NaN where those two are about the same.
        """
        floor, ceiling = self.similarity.mean_cosine(source.embedding, target), self.similarity.ceiling(target)
        gap = ceiling - floor if ceiling > floor + MIN_GAP else math.nan
        return {
            "cosine_source": float(source.embedding @ output.embedding),
            "progress": (self.similarity.mean_cosine(output.embedding, target) - floor) / gap,
        }

    def score_other_take(self, take: AnalysedAudio, source: AnalysedAudio, text: str | None = None) -> Scores:
        """Content distance (after DTW, NaN if too short) and transcript errors of another performance of a source.

        DTW flatters: different words, too, come out below 1.
        """
        scores = self.compare_transcripts(take, source, text)
        frames = spectral.dtw_frame_map(take=take.audio, source=source.audio)
        if frames is None:
            return scores | {"content_distance": math.nan}
        content = take.content[:, np.minimum(frames, take.content.shape[1] - 1)]
        return scores | {"content_distance": content_metric.content_distance(source.content, content, source.audio)}

    def compare_transcripts(self, output: AnalysedAudio, source: AnalysedAudio, text: str | None = None) -> Scores:
        """ASR error rates of an output beside those of its source; empty without ASR."""
        if not self.asr:
            return {}
        return transcript.transcript_errors(output.transcript, source.transcript, text)
