"""The same judges during training: they choose the best checkpoint, and say at the end whether to go on."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from svc.audio.files import Audio
from svc.data.dataset import read_audio
from svc.data.manifest import Manifest
from svc.errors import TrainingError
from svc.evaluation.evaluator import Heard, Judges, Panel
from svc.evaluation.metrics.table import IDENTITY, MEASURES, Row, mean, overall, parts
from svc.evaluation.report import Exhibit, Page, Section, Table, png, write
from svc.features.cache import Store
from svc.training.tracking import SCORES
from svc.training.validation import Phrase, Rendition
from svc.utils.units import hop_samples

ENROLMENT = 4  # training clips that each singer is known by
LONGEST = 1000  # frames of each
SMALLEST = 0.003  # gain of the overall score that counts, however steady the scores are
FEWEST = 8  # validations that say anything
Scores = Mapping[str, float]


class Rehearsal:
    """Judges the fixed phrases of a run; call it with their renditions.

    Raises:
        DataError: a judge's library is not installed.
    """

    def __init__(self, prepared: Manifest, judges: Judges):
        self.rate = int(prepared.features["sample_rate"])
        self.panel = Panel(judges, enrol(prepared, self.rate))
        self.truths: dict[str, Heard] = {}

    def __call__(self, renditions: Sequence[Rendition]) -> dict[str, float]:
        """``overall``, its parts, and the mean of every measure over the phrases, identity's over conversions alone."""
        rows = self.rows(renditions)
        others = [row for row in rows if row["singer"] != row["target"]]
        means = {m.key: mean(others if m.group == IDENTITY else rows, m.key) for m in MEASURES}
        return means | parts(rows) | {"overall": overall(rows)}

    def rows(self, renditions: Sequence[Rendition]) -> list[Row]:
        """A row for each reconstruction and conversion."""
        rows = []
        for made in renditions:
            phrase, source = made.phrase, self._truth(made.phrase)
            for target, audio in ({phrase.singer: made.reconstruction} | made.conversions).items():
                heard = self.panel.hear(Audio(audio.numpy(), self.rate))
                scores = self.panel.score(heard, source, phrase.singer, target)
                rows.append(
                    {"system": "voice", "song": phrase.name, "singer": phrase.singer, "target": target} | scores
                )
        return rows

    def sections(self, renditions: Sequence[Rendition]) -> list[Section]:
        """The phrases to hear and to see."""
        found = []
        for made in renditions:
            truth = self._truth(made.phrase)
            exhibits = [Exhibit(f"truth: {made.phrase.singer}", truth.audio, truth.f0)]
            for target, audio in ({made.phrase.singer: made.reconstruction} | made.conversions).items():
                sung = Audio(audio.numpy(), self.rate)
                exhibits.append(Exhibit(f"sung as {target}", sung, self.panel.track(sung)))
            found.append(Section(made.phrase.name, "", exhibits))
        return found

    def _truth(self, phrase: Phrase) -> Heard:
        if phrase.name not in self.truths:
            self.truths[phrase.name] = self.panel.hear(Audio(phrase.audio[0].numpy(), self.rate))
        return self.truths[phrase.name]


def enrol(prepared: Manifest, rate: int) -> dict[str, list[Audio]]:
    """Some training clips of every singer."""
    store = Store(prepared.folder / "store")
    found = {}
    for singer in prepared.singers:
        clips = [clip for clip in prepared.split("train") if clip.singer == singer.name]
        chosen = clips[:: max(1, len(clips) // ENROLMENT)][:ENROLMENT]
        audio = [read_audio(store, clip, 0, min(clip.frames, LONGEST), hop_samples(rate)) for clip in chosen]
        found[singer.name] = [Audio(samples[0].numpy(), rate) for samples in audio]
    return found


def history(run: Path) -> list[dict[str, float]]:
    """The scores of a run's validations in order, the untrained one left out."""
    path = run / SCORES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [told for line in lines if (told := json.loads(line))["step"] > 0 and "overall" in told]


def advise(told: Sequence[Scores]) -> str:
    """Whether more training would help, in a sentence or two, by the overall scores of a run.

    The mean of the last quarter of all validations is held against that of the quarter before, and against the best
    quarter, beside how much scores waver: the standard deviation of their second differences is √6 times that of
    independent noise.
    """
    steps = [int(scores["step"]) for scores in told]
    scores = np.array([scores["overall"] for scores in told])
    if len(scores) < FEWEST:
        few = f"Too few validations ({len(scores)}) to say whether more training would help"
        return f"{few}; {FEWEST} would be enough (train.validate_every)."
    window = len(scores) // 4
    means = np.convolve(scores, np.ones(window) / window, mode="valid")
    noise = float(np.std(np.diff(scores, 2))) / math.sqrt(6) * math.sqrt(2 / window)
    gain, lost = float(means[-1] - means[-1 - window]), float(means.max() - means[-1])
    best = steps[int(means.argmax()) + window // 2]
    if gain > max(SMALLEST, 2 * noise):
        return (
            f"More training would help: over the last {window} validations, up to step {steps[-1]}, the overall score "
            f"rose by {gain:.3f} to a mean of {means[-1]:.3f}. Give it more train.steps."
        )
    if lost > max(SMALLEST, 4 * noise):
        return (
            f"More training would not help: the overall score was best about step {best} ({means.max():.3f}) and has "
            f"fallen to {means[-1]:.3f}. Take `svc export --which best`; more recordings would do more."
        )
    return (
        f"More of the same training would hardly help: over the last {window} validations, up to step {steps[-1]}, the "
        f"overall score moved by {gain:+.3f}, about as much as it wavers. More recordings would do more."
    )


def curve(told: Sequence[Scores]) -> bytes:
    """The overall score and its parts over the steps, as PNG."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    steps = [scores["step"] for scores in told]
    for name in ("overall", "identity_part", "words_part", "melody_part", "sound_part"):
        width = 2.5 if name == "overall" else 1.0
        axes.plot(
            steps,
            [scores.get(name, math.nan) for scores in told],
            label=name.removesuffix("_part"),
            linewidth=width,
            marker=".",
        )
    axes.set_xlabel("step")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return png(figure)


def publish(run: Path, judge: Rehearsal, renditions: Sequence[Rendition]) -> str:
    """Write ``report.html`` of a run: advice, the curve, the phrases as they were last sung; returns the advice.

    Without renditions, because nothing was left to train, the report stays as it is.

    Raises:
        TrainingError: the folder does not take it.
    """
    told = history(run)
    advice = advise(told)
    if not renditions:
        return advice
    measures = [m for m in MEASURES if any(m.key in scores for scores in told)]
    rows = [
        [f"{scores['step']}", f"{scores['overall']:.3f}", *(m.text(scores.get(m.key, math.nan)) for m in measures)]
        for scores in told
    ]
    table = Table(["step", "overall", *(m.title for m in measures)], rows)
    drawings = {"Scores of the fixed phrases (1 is best)": curve(told)} if told else {}
    page = Page(f"{run}", advice, {"Validations": table}, judge.sections(renditions), drawings)
    try:
        write(run / "report.html", page)
    except OSError as error:
        raise TrainingError(f"{run}/report.html: cannot be written ({error.strerror}); move it away") from None
    return advice
