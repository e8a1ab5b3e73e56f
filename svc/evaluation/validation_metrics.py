"""Evaluation metrics during training: they choose the best checkpoint, and say whether more training would help."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from svc.audio.files import Audio
from svc.data.manifest import Manifest
from svc.errors import TrainingError, os_errors_as
from svc.evaluation.evaluator import AnalysedAudio, Evaluator, EvaluatorConfig
from svc.evaluation.metrics.table import MEASURES, SPEAKER, Row, checkpoint_scores, mean
from svc.evaluation.page import AudioExample, Page, Section, Table, write
from svc.training.logging import SCORES
from svc.training.validation import ValidationClip, ValidationOutput

ENROLMENT_CLIPS = 4  # training clips of each speaker
MAX_SECONDS = 10.0  # of each
MIN_GAIN = 0.003  # of the overall score, that counts however steady the scores are
MIN_VALIDATIONS = 8  # for advice
Scores = Mapping[str, float]


class ValidationEvaluator:
    """Scores the fixed validation clips of a run; a ``ScoreFn`` of ``svc.training``.

    Some training clips of the prepared dataset are the enrolment.

    Raises:
        DataError: the library of a metric is not installed.
        WeightsError: the weights of a metric are missing.
    """

    def __init__(self, prepared: Manifest, metrics: EvaluatorConfig):
        self.rate = int(prepared.features["sample_rate"])
        self.metrics = metrics
        self.evaluator = Evaluator(metrics, read_enrolment(prepared))
        self.truths: dict[str, AnalysedAudio] = {}

    @property
    def description(self) -> str:
        """Which metrics make up the overall score."""
        metrics = self.metrics
        naturalness = "Distill-MOS" if "distillmos" in metrics.mos else "STFT distance"
        return (
            f"overall: mean of speaker similarity ({metrics.speaker_encoder}), naturalness ({naturalness}) and pitch "
            f"({metrics.f0_tracker})"
        )

    def __call__(self, outputs: Sequence[ValidationOutput]) -> dict[str, float]:
        """``overall``, its sub-scores, and the mean of every measure; speaker measures over conversions only."""
        rows = self.rows(outputs)
        converted = [row for row in rows if row["speaker"] != row["target"]]
        means = {m.key: mean(converted if m.group == SPEAKER else rows, m.key) for m in MEASURES}
        return means | checkpoint_scores(rows)

    def rows(self, outputs: Sequence[ValidationOutput]) -> list[Row]:
        """A row for each reconstruction and conversion."""
        rows = []
        for output in outputs:
            clip, source = output.clip, self._truth(output.clip)
            for target, audio in self._audio(output).items():
                scores = self.evaluator.score(self.evaluator.analyse(audio), source, clip.speaker, target)
                names = {"system": "voice", "song": clip.name, "speaker": clip.speaker, "target": target}
                rows.append(names | scores)
        return rows

    def sections(self, outputs: Sequence[ValidationOutput]) -> list[Section]:
        """The clips with players and spectrograms, for the report."""
        sections = []
        for output in outputs:
            truth = self._truth(output.clip)
            examples = [AudioExample(f"truth: {output.clip.speaker}", truth.audio, truth.f0)]
            for target, audio in self._audio(output).items():
                examples.append(AudioExample(f"output: {target}", audio, self.evaluator.track_f0(audio)))
            sections.append(Section(output.clip.name, examples))
        return sections

    def _audio(self, output: ValidationOutput) -> dict[str, Audio]:
        """The reconstruction and the conversions, by target."""
        samples = {output.clip.speaker: output.reconstruction} | output.conversions
        return {target: Audio(audio.numpy(), self.rate) for target, audio in samples.items()}

    def _truth(self, clip: ValidationClip) -> AnalysedAudio:
        if clip.name not in self.truths:
            self.truths[clip.name] = self.evaluator.analyse(Audio(clip.audio[0].numpy(), self.rate))
        return self.truths[clip.name]


def read_enrolment(prepared: Manifest) -> dict[str, list[Audio]]:
    """Some training clips of every speaker."""
    enrolment = {}
    for name, clips in prepared.training_clips().items():
        chosen = clips[:: max(1, len(clips) // ENROLMENT_CLIPS)][:ENROLMENT_CLIPS]
        enrolment[name] = [prepared.audio(clip).first(MAX_SECONDS) for clip in chosen]
    return enrolment


def history(run: Path) -> list[dict[str, float]]:
    """Scores of a run's validations in order, without the one before training."""
    path = run / SCORES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [scores for line in lines if (scores := json.loads(line))["step"] > 0 and "overall" in scores]


def early_stopping_advice(validations: Sequence[Scores]) -> str:
    """Whether more training would help, by the overall scores of a run.

    Compares the mean of the last quarter of the validations with the quarter before, and with the best quarter,
    against the noise of the scores: the standard deviation of their second differences is √6 times that of
    independent noise.
    """
    count = len(validations)
    if count < MIN_VALIDATIONS:
        return f"Too early to say whether more training would help: {count} of {MIN_VALIDATIONS} validations."
    scores, window = np.array([scores["overall"] for scores in validations]), count // 4
    means = np.convolve(scores, np.ones(window) / window, mode="valid")
    noise = float(np.std(np.diff(scores, 2))) / math.sqrt(6) * math.sqrt(2 / window)
    gain, lost = float(means[-1] - means[-1 - window]), float(means.max() - means[-1])
    if gain > max(MIN_GAIN, 2 * noise):
        return f"More training would help: the overall score still rises, by {gain:.3f} over {window} validations."
    if lost > max(MIN_GAIN, 4 * noise):
        best = int(validations[int(means.argmax()) + window // 2]["step"])
        return (
            f"More training would not help: the overall score was best about step {best}, and has fallen by {lost:.3f}."
            " Use `svc export --checkpoint best`; more recordings would help."
        )
    return "More training would hardly help: the overall score changes by its noise alone. More recordings would help."


def write_training_report(
    run: Path, evaluator: ValidationEvaluator, outputs: Sequence[ValidationOutput], notes: Sequence[str] = ()
) -> str:
    """Write ``report.html`` of a run: advice, scores, and the last validation outputs; returns the advice.

    Without outputs, because nothing was left to train, the report stays as it is.

    Raises:
        TrainingError: the file cannot be written.
    """
    validations = history(run)
    advice = early_stopping_advice(validations)
    if not outputs:
        return advice
    measures = [m for m in MEASURES if any(not math.isnan(scores.get(m.key, math.nan)) for scores in validations)]
    rows = [
        [f"{scores['step']}", f"{scores['overall']:.3f}", *(m.text(scores.get(m.key, math.nan)) for m in measures)]
        for scores in validations
    ]
    hints = ["", "0 to 1, chooses the best checkpoint", *(m.hint for m in measures)]
    table = Table(["step", "overall", *(m.title for m in measures)], rows, hints)
    notes = [evaluator.description, *notes]
    page = Page(f"Training of {run.name}", advice, {"Validations": table}, evaluator.sections(outputs), notes)
    with os_errors_as(TrainingError, run / "report.html", "cannot be written", "free some space, or move it away"):
        write(run / "report.html", page)
    return advice
