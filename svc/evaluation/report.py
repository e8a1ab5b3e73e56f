"""Report of an evaluation: ``scores.json`` for programs, ``scores.md`` and ``report.html`` for people."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from svc import __version__
from svc.errors import DataError, os_errors_as, printable
from svc.evaluation.evaluator import EvaluatorConfig, read_audio
from svc.evaluation.metrics.table import GROUPS, MEASURES, Row, by_exposure, group_rows, summarise, values
from svc.evaluation.page import AudioExample, Page, Section, Table, write
from svc.evaluation.run import EvaluationRequest, evenly_spaced
from svc.evaluation.scoring import Evaluation
from svc.evaluation.summary import marks, summary_lines
from svc.utils import atomic
from svc.utils.progress import progress

SCORES, TABLE, PAGE = "scores.json", "scores.md", "report.html"
NAMES = ("system", "song", "speaker", "target")
MAX_SECONDS = 15.0  # of a recording on the page
KEY_CENTS = 50.0  # of shift above which a heading names the key
LEGEND = (
    "Means over songs; ± half of the 95 % bootstrap interval over songs. f0 is compared after removing one constant "
    "shift for each file."
)


def write_report(evaluation: Evaluation, request: EvaluationRequest, name: str, num_examples: int) -> str:
    """Write the three files into the output folder.

    Args:
        evaluation: the scores.
        request: what was evaluated.
        name: of the voice or system, for the headings.
        num_examples: conversions on the page, evenly spaced from the lowest to the highest cosine to the target.

    Returns:
        The summary in four lines.

    Raises:
        DataError: the folder cannot be written.
    """
    scores = evaluation.scores
    parts = by_exposure(scores.rows)
    tables = {f"{group}{part}": table for part, rows in parts.items() for group, table in tabulate(rows).items()}
    part, top = next(iter(parts.items()))  # songs that the voice was not trained on, if there are any
    markdown = "\n\n".join(f"**{heading}**\n\n{table.markdown()}" for heading, table in tables.items())
    content = {
        "svc": __version__,
        "name": name,
        "metrics": asdict(request.metrics),
        "enrolment": {name: round(sum(a.seconds for a in clips), 1) for name, clips in evaluation.enrolment.items()},
        "summary": {
            label: {m.key: asdict(s) for m in MEASURES if (s := summarise(rows, m.key)).files}
            for label, rows in group_rows(top).items()
        },
        "notes": evaluation.notes,
        "skipped": scores.skipped,
        "rows": scores.rows,
    }
    rows = _choose_examples(scores.rows, num_examples)
    notes = [_describe_setup(request), LEGEND, *evaluation.notes]
    notes += [printable(f"skipped: {reason}") for reason in scores.skipped]
    lines = summary_lines(top, part.removeprefix(", songs "))
    text = f"# {name}\n\n{lines[0]}\n\n{markdown}\n\n" + "".join(f"- {note}\n" for note in notes)
    order = f"{len(rows)} of {len(scores.pairs)} outputs, the least similar to its target first." if rows else ""
    sections = [_section(evaluation, row) for row in progress(rows, "plot", "song", len(rows))]
    with os_errors_as(DataError, request.out, "cannot be written", "choose another -o"):
        request.out.mkdir(parents=True, exist_ok=True)
        write(request.out / PAGE, Page(name, lines[0], tables, sections, notes, order))
        atomic.write_bytes(request.out / TABLE, text.encode())
        atomic.write_json(request.out / SCORES, content)
    return "\n".join(lines)


def tabulate(rows: Sequence[Row]) -> dict[str, Table]:
    """A table for each group of measures, with a line for each system that has any of them."""
    tables = {}
    for group in GROUPS:
        measures = [m for m in MEASURES if m.group == group and not np.isnan(values(rows, m.key)).all()]
        lines = []
        for label, own in group_rows(rows).items():
            means = [summarise(own, measure.key) for measure in measures]
            if any(mean.files for mean in means):
                lines.append([label, f"{len(own)}", *(m.interval(e) for m, e in zip(measures, means, strict=True))])
        if lines:
            hints = ["", "outputs", *(m.hint for m in measures)]
            tables[group] = Table(["", "n", *(m.title for m in measures)], lines, hints)
    return tables


def load_scores(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """Rows and setup (metrics and enrolment) of a ``scores.json``, or of the folder that holds it.

    Raises:
        DataError: no such file, or one of another version.
    """
    path = path / SCORES if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        setup = json.loads(json.dumps(asdict(EvaluatorConfig()))) | content["metrics"]
        setup["speaker_encoder"] = setup["speaker_encoder"].partition(":")[0]  # without the folder of its weights
        rows = content["rows"]
        if not all(isinstance(row[key], str) for row in rows for key in NAMES):
            raise ValueError("rows without names")
        setup["enrolment"] = content["enrolment"]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make one with `svc evaluate -o`") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(f"{path}: no scores of this version; make them with `svc evaluate -o`") from None
    return list(rows), setup


def _describe_setup(request: EvaluationRequest) -> str:
    """Metrics and folders in a sentence each."""
    metrics = request.metrics
    names = [metrics.f0_tracker, metrics.speaker_encoder, *metrics.mos]
    names += [f"Whisper {metrics.asr}"] if metrics.asr else []
    folders = {"Sources": request.sources, "enrolment": request.enrolment or request.sources}
    folders |= {"parallel performances": request.parallel} if request.parallel else {}
    places = ", ".join(f"{name}: {folder}" for name, folder in folders.items())
    return printable(f"Metrics: {', '.join(names)}. {places}.")


def _choose_examples(rows: Sequence[Row], count: int) -> list[Row]:
    """Rows of conversions, from the lowest to the highest cosine to the target."""
    converted = [row for row in rows if row["system"] == "voice" and row["speaker"] != row["target"]]
    return evenly_spaced(sorted(converted, key=lambda row: row["cosine"]), count)


def _section(evaluation: Evaluation, row: Row) -> Section:
    """A conversion between its source and a recording of the target."""
    scores, track = evaluation.scores, evaluation.evaluator.track_f0
    song, target = row["song"], row["target"]
    pair = next(pair for pair in scores.pairs if (pair.song.id, pair.target) == (song, target))
    source, output = (read_audio(path).first(MAX_SECONDS) for path in (pair.song.path, pair.output))
    source_f0 = track(source)
    shift = row["shift"] if not math.isnan(row["shift"]) else 0.0
    examples = [
        AudioExample("original", source, source_f0),
        AudioExample("result", output, track(output), source_f0 * 2 ** (shift / 1200)),
    ]
    if pair.output in scores.truths:
        truth = read_audio(scores.truths[pair.output]).first(MAX_SECONDS)
        examples.append(AudioExample(f"truth: {target}'s own performance", truth, track(truth)))
    else:
        recording = evaluation.enrolment[target][0].first(MAX_SECONDS)
        examples.append(AudioExample(f"another recording of {target}", recording))
    identified = {1.0: ", taken for the target", 0.0: ", not taken for the target"}.get(row["named_target"], "")
    key = "" if abs(shift) < KEY_CENTS else f", {shift / 100:+.0f} semitones"
    return Section(f"{song} → {target}{key}{identified}", examples, marks(row, scores.rows))
