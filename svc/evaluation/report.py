"""Report of an evaluation: ``scores.json`` for programs, ``scores.md`` and ``report.html`` for people."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from svc import __version__
from svc.errors import DataError, printable
from svc.evaluation.evaluator import EvaluatorConfig, read_audio
from svc.evaluation.metrics.speaker import Vector
from svc.evaluation.metrics.table import GROUPS, HINTS, MEASURES, Row, by_exposure, group_rows, summarise, values
from svc.evaluation.page import AudioExample, Page, Section, Table, png, write
from svc.evaluation.protocol import ConversionPair
from svc.evaluation.run import EvaluationRequest, evenly_spaced
from svc.evaluation.scoring import Evaluation
from svc.evaluation.summary import marks, summary_lines
from svc.utils import atomic
from svc.utils.progress import progress

SCORES, TABLE, PAGE = "scores.json", "scores.md", "report.html"
NAMES = ("system", "song", "speaker", "target")
MAX_SECONDS = 15.0  # of a recording on the page
MAX_CONVERSIONS = 60  # in the t-SNE plot
PERPLEXITY = 12.0
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
    top = next(iter(parts.values()))  # songs that the voice was not trained on, if there are any
    markdown = "\n\n".join(f"**{heading}**\n\n{table.markdown()}" for heading, table in tables.items())
    content = {
        "svc": __version__,
        "name": name,
        "metrics": asdict(evaluation.evaluator.config),
        "enrolment": {name: round(sum(a.seconds for a in clips), 1) for name, clips in evaluation.enrolment.items()},
        "summary": {
            label: {m.key: asdict(s) for m in MEASURES if (s := summarise(rows, m.key)).files}
            for label, rows in group_rows(top).items()
        },
        "notes": evaluation.notes,
        "skipped": scores.skipped,
        "rows": scores.rows,
    }
    chosen = _choose_examples(evaluation, num_examples)
    setup = f"{_describe_setup(request)} {LEGEND}"
    notes = [setup, *evaluation.notes, *(printable(f"skipped: {reason}") for reason in scores.skipped)]
    lines = summary_lines(top)
    text = f"# {name}\n\n{lines[0]}\n\n{markdown}\n\n" + "".join(f"- {note}\n" for note in notes)
    order = f"{len(chosen)} of {len(scores.pairs)} outputs, the least similar to its target first." if chosen else ""
    sections = [_section(evaluation, pair) for pair in progress(chosen, "plot", "song", len(chosen))]
    figures = {"Speaker embeddings (t-SNE)": plot_tsne(evaluation)}
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        write(request.out / PAGE, Page(name, lines[0], tables, sections, figures, notes, order))
        atomic.write_bytes(request.out / TABLE, text.encode())
        atomic.write_bytes(request.out / SCORES, (json.dumps(_without_nan(content), indent=1) + "\n").encode())
    except OSError as error:
        raise DataError(f"{request.out}: cannot be written ({error.strerror}); choose another -o") from None
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
            hints = ["", "outputs", *(HINTS.get(m.key, "") for m in measures)]
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
        for row in rows:
            if not all(isinstance(row[key], str) for key in NAMES):
                raise ValueError("rows without names")
            if not all(value is None or math.isfinite(value) for key, value in row.items() if key not in NAMES):
                raise ValueError("scores that are no numbers")
        setup["enrolment"] = content["enrolment"]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make one with `svc evaluate -o`") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise DataError(f"{path}: no scores of this version; make them with `svc evaluate -o`") from None
    return list(rows), setup


def plot_tsne(evaluation: Evaluation) -> bytes:
    """t-SNE plot (van der Maaten and Hinton 2008) of speaker embeddings as PNG.

    Dots are enrolment recordings in the colour of their speaker; a line leads from a source to its conversion, a star
    in the colour of the target. Only small distances mean anything.
    """
    similarity = evaluation.evaluator.similarity
    names = [name for name, rows in similarity.clips.items() for _ in rows]
    conversions = evaluation.scores.source_to_output
    conversions = conversions[:: max(1, -(-len(conversions) // MAX_CONVERSIONS))]
    vectors = np.concatenate([*similarity.clips.values(), *(np.stack([a, b]) for _, a, b in conversions)])
    points = _tsne(vectors)
    colours = {name: colormaps["tab20"](number % 20) for number, name in enumerate(similarity.names)}
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    for (x, y), name in zip(points, names, strict=False):
        axes.scatter(x, y, color=colours[name], s=14)
    for name in similarity.names:
        x, y = np.median(points[: len(names)][[name == own for own in names]], axis=0)
        axes.annotate(name, (x, y), fontsize=9, weight="bold", ha="center", parse_math=False)
    for (target, *_), start, end in zip(conversions, points[len(names) :: 2], points[len(names) + 1 :: 2], strict=True):
        axes.plot(*np.stack([start, end]).T, color=colours[target], alpha=0.3, linewidth=0.8)
        axes.scatter(end[0], end[1], color=colours[target], marker="*", s=90, edgecolors="black", linewidths=0.4)
    axes.set_title("dots: enrolment · lines: from source to conversion ★, in the target's colour", fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    return png(figure)


def _tsne(vectors: Vector) -> NDArray[np.float64]:
    """Coordinates (count, 2) of unit vectors (count, D); deterministic."""
    from sklearn.manifold import TSNE

    count = len(vectors)
    if count < 4:
        return np.stack([np.arange(count), np.zeros(count)], axis=1)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors.astype(np.float32))
    return np.asarray(points, dtype=np.float64)


def _describe_setup(request: EvaluationRequest) -> str:
    """Metrics and folders in a sentence each."""
    metrics = request.metrics
    names = [metrics.f0_tracker, metrics.speaker_encoder, metrics.content_metric, *metrics.mos]
    names += [f"ASR {metrics.asr}"] if metrics.asr else []
    folders = {"Sources": request.sources, "enrolment": request.enrolment or request.sources}
    folders |= {"parallel performances": request.parallel} if request.parallel else {}
    places = ", ".join(f"{name}: {folder}" for name, folder in folders.items())
    return printable(f"Metrics: {', '.join(names)}. {places}.")


def _without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _choose_examples(evaluation: Evaluation, count: int) -> list[ConversionPair]:
    rows = evaluation.scores.rows
    cosines = {(row["song"], row["target"]): row["cosine"] for row in rows if row["system"] == "voice"}
    pairs = [p for p in evaluation.scores.pairs if (p.song.id, p.target) in cosines and p.song.speaker != p.target]
    return evenly_spaced(sorted(pairs, key=lambda pair: cosines[pair.song.id, pair.target]), count)


def _section(evaluation: Evaluation, pair: ConversionPair) -> Section:
    """A conversion between its source and a recording of the target."""
    wanted = ("voice", pair.song.id, pair.target)
    row = next(r for r in evaluation.scores.rows if (r["system"], r["song"], r["target"]) == wanted)
    track = evaluation.evaluator.track_f0
    source, output = read_audio(pair.song.path).first(MAX_SECONDS), read_audio(pair.output).first(MAX_SECONDS)
    source_f0 = track(source)
    shift = row["shift"] if not math.isnan(row["shift"]) else 0.0
    examples = [
        AudioExample("original", source, source_f0),
        AudioExample("result", output, track(output), source_f0 * 2 ** (shift / 1200)),
    ]
    if pair.output in evaluation.scores.truths:
        truth = read_audio(evaluation.scores.truths[pair.output]).first(MAX_SECONDS)
        examples.append(AudioExample(f"truth: {pair.target}'s own performance", truth, track(truth)))
    else:
        recording = evaluation.enrolment[pair.target][0].first(MAX_SECONDS)
        examples.append(AudioExample(f"another recording of {pair.target}", recording))
    named = {1.0: ", taken for the target", 0.0: ", not taken for the target"}.get(row["named_target"], "")
    key = "" if abs(shift) < KEY_CENTS else f", {shift / 100:+.0f} semitones"
    return Section(f"{pair.song.id} → {pair.target}{key}{named}", examples, marks(row, evaluation.scores.rows))
