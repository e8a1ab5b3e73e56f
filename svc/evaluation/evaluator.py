"""All metrics of one recording against another, and which of them are independent of a voice."""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from svc.audio import files
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.config import Config
from svc.config.schema import PerceptualLossConfig, SpeakerLossConfig
from svc.encoders import campplus
from svc.encoders.weights import cache_folder
from svc.errors import DataError
from svc.evaluation.metrics import artifacts, spectral
from svc.evaluation.metrics.content import Content, PhoneContent, content_distance
from svc.evaluation.metrics.f0 import Curve, Scores, expression_scores, f0_scores, load_tracker, loudness_scores
from svc.evaluation.metrics.mos import load_mos_predictor
from svc.evaluation.metrics.speaker import Vector, load_speaker_similarity
from svc.evaluation.metrics.transcript import WhisperASR, transcript_errors

MIN_GAP = 0.05  # cosine between source and target below which progress is undefined
MAX_LENGTH_DIFFERENCE = 0.05  # of the source's length
GE2E = "ge2e"  # the encoder behind resemblyzer
PHONES = "phone-classifier"  # the encoder behind the content distance


@dataclass(frozen=True, slots=True)
class EvaluatorConfig:
    """Which networks and trackers measure, by name."""

    f0_tracker: str = "praat"
    speaker_encoder: str = "resemblyzer"
    mos: tuple[str, ...] = ()
    asr: str = ""  # size or folder of a Whisper model
    language: str = "en"  # of the lyrics


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
    def content(self) -> Content:
        """Content features (C, N)."""
        return self.evaluator.content.extract(self.audio)

    @cached_property
    def transcript(self) -> str:
        """ASR transcript; empty without ASR."""
        return self.evaluator.asr.transcribe(self.audio) if self.evaluator.asr else ""

    @cached_property
    def mos(self) -> Scores:
        """Predicted mean opinion scores by name."""
        return {name: value for predict in self.evaluator.mos for name, value in predict(self.audio).items()}


def read_audio(path: Path) -> Audio:
    """Read a recording; resample it to 24 kHz if 10 ms are no whole number of samples at its rate."""
    audio = files.read(path)
    return audio if audio.rate % 100 == 0 else resample(audio, 24_000)


class Evaluator:
    """Computes all configured metrics, given enrolment recordings of every speaker."""

    def __init__(self, config: EvaluatorConfig, enrolment: Mapping[str, Sequence[Audio]]):
        self.config = config
        self.track_f0 = load_tracker(config.f0_tracker)
        self.content = PhoneContent()
        self.mos = [load_mos_predictor(name) for name in config.mos]
        self.asr = WhisperASR(config.asr, config.language) if config.asr else None
        self.similarity = load_speaker_similarity(config.speaker_encoder, enrolment)

    def analyse(self, audio: Audio) -> AnalysedAudio:
        """A recording whose analyses are computed on first use."""
        return AnalysedAudio(audio, self)

    def score(
        self, output: AnalysedAudio, source: AnalysedAudio, speaker: str, target: str, text: str | None = None
    ) -> Scores:
        """All scores of an output that keeps the timing of its source; a reconstruction if ``speaker`` is ``target``.

        The speaker is that of the source, or an empty string; the text are the lyrics, if available.

        Raises:
            DataError: the lengths differ by more than 5 %.
        """
        if abs(output.audio.seconds / source.audio.seconds - 1) > MAX_LENGTH_DIFFERENCE:
            lengths = f"{output.audio.seconds:.1f} s long, its source {source.audio.seconds:.1f} s"
            raise DataError(f"{lengths}; give conversions that keep the timing")
        scores = f0_scores(output_f0=output.f0, reference_f0=source.f0)
        scores |= loudness_scores(output=output.audio, source=source.audio)
        scores |= expression_scores(output_f0=output.f0, source_f0=source.f0)
        scores |= self.identify_speaker(output.embedding, speaker, target, source.embedding)
        scores["content_distance"] = content_distance(source.content, output.content, source.audio)
        scores |= artifacts.measure(source.audio, output.audio, source.f0)
        noise = [artifacts.aperiodicity(audio.audio, audio.f0) for audio in (output, source)]
        scores["aperiodicity"] = noise[0] - noise[1]
        if speaker == target:
            scores["stft"] = spectral.stft_distance(output=output.audio, truth=source.audio)
            scores["mcd_aligned"] = spectral.mcd(output=output.audio, truth=source.audio)
        else:
            scores |= self.conversion_progress(output, source, target)
        scores |= output.mos | {f"{name}_source": value for name, value in source.mos.items()}
        return scores | self.compare_transcripts(output, source, text)

    def identify_speaker(self, output: Vector, speaker: str, target: str, *exclude: Vector) -> Scores:
        """Closed-set speaker identification of an embedding; others to exclude are left out of the enrolment.

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

    def compare_transcripts(self, output: AnalysedAudio, source: AnalysedAudio, text: str | None = None) -> Scores:
        """ASR error rates of an output beside those of its source; empty without ASR."""
        return transcript_errors(output.transcript, source.transcript, text) if self.asr else {}


def loss_encoders(config: Config) -> set[str]:
    """Names of the encoders in the perceptual and speaker losses of a voice."""
    losses: list[PerceptualLossConfig | SpeakerLossConfig] = [*config.perceptual.values(), config.loss.speaker]
    return {loss.encoder for loss in losses if loss.weight or loss.conversion_weight}


def independence_notes(metrics: EvaluatorConfig, config: Config) -> list[str]:
    """A sentence for every metric that shares a network with the voice's losses or inputs."""
    losses, notes = loss_encoders(config), []
    name = metrics.speaker_encoder
    if (GE2E if name == "resemblyzer" else name) in losses:
        notes.append(f"A loss of the voice used {name}, which measures similarity here: use another --speaker-encoder.")
    if PHONES in losses | {config.features.content.encoder}:
        notes.append("The content distance uses the phone classifier, as the voice does; --asr is independent of it.")
    return notes


def checkpoint_metrics(config: Config) -> EvaluatorConfig:
    """The metrics that choose the best checkpoint of a training.

    Speaker similarity by CAM++ if its weights are in the cache, else by Resemblyzer, or by cepstra if a loss uses
    Resemblyzer's network; naturalness by Distill-MOS if it is installed.
    """
    encoder = "cepstral" if GE2E in loss_encoders(config) else "resemblyzer"
    if (cache_folder() / campplus.FILE).is_file():
        encoder = "campplus"
    mos = ("distillmos",) if importlib.util.find_spec("distillmos") else ()
    return EvaluatorConfig(speaker_encoder=encoder, mos=mos)
