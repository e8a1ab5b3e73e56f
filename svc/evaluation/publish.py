"""What an evaluation leaves behind: ``scores.json`` for programs, ``scores.md`` and ``report.html`` for people."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from svc import __version__
from svc.errors import DataError, printable
from svc.evaluation.evaluator import Judges, read
from svc.evaluation.metrics.table import GROUPS, IDENTITY, MEASURES, Row, sorts, summarise, values
from svc.evaluation.parallel import Evaluation
from svc.evaluation.plot_maps import embedding_map
from svc.evaluation.protocol import Case
from svc.evaluation.report import Exhibit, Page, Section, Table, write
from svc.evaluation.run import Request, evenly
from svc.utils import atomic
from svc.utils.progress import progress

SCORES, TABLE, PAGE = "scores.json", "scores.md", "report.html"
NAMES = ("system", "song", "singer", "target")
SHOWN = 15.0  # s of a recording
LEGEND = (
    "Means over songs with 95 % bootstrap intervals over songs. Melodies are compared after one constant shift a file. "
    "In cyan the melody that is sung, in white the one that was asked for, moved by that shift."
)


def publish(found: Evaluation, request: Request, name: str, shown: int) -> str:
    """Write all three into the folder of the request.

    Args:
        found: the evaluation.
        request: what was asked.
        name: of the voice or system, for the headings.
        shown: how many conversions are on the page, evenly from the least to the most like their target.

    Returns:
        The tables, in Markdown.
    """
    tables = tabulate(found.scored.rows)
    markdown = "\n\n".join(f"**{heading}**\n\n{table.markdown()}" for heading, table in tables.items())
    told = {
        "svc": __version__,
        "name": name,
        "judges": asdict(found.panel.judges),
        "known": {name: round(sum(a.seconds for a in clips), 1) for name, clips in found.enrolled.items()},
        "summary": {
            label: {m.key: asdict(s) for m in MEASURES if (s := summarise(rows, m.key)).files}
            for label, rows in sorts(found.scored.rows).items()
        },
        "skipped": found.scored.skipped,
        "rows": found.scored.rows,
    }
    chosen = _choose(found, shown)
    notes = [printable(f"skipped: {reason}") for reason in found.scored.skipped]
    intro = f"{_circumstances(request)} {LEGEND}"
    text = f"# {name}\n\n{intro}\n\n{markdown}\n" + "".join(f"\n- {note}" for note in notes) + "\n" * bool(notes)
    sections = [_section(found, case) for case in progress(chosen, "draw", "song", len(chosen))]
    drawings = {"Map of the singers": embedding_map(found)}
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        write(request.out / PAGE, Page(name, intro, tables, sections, drawings, notes))
        atomic.write_bytes(request.out / TABLE, text.encode())
        atomic.write_bytes(request.out / SCORES, (json.dumps(_plain(told), indent=1) + "\n").encode())
    except OSError as error:
        raise DataError(f"{request.out}: cannot be written ({error.strerror}); choose another -o") from None
    return markdown


def _circumstances(request: Request) -> str:
    """Which judges heard what."""
    judges = request.judges
    names = [judges.pitch, judges.identity, judges.words, *judges.opinions]
    names += [f"transcripts by {judges.transcribe}"] if judges.transcribe else []
    folders = {"sources": request.sources, "references": request.references or request.sources}
    folders |= {"truth": request.parallel} if request.parallel else {}
    told = ", ".join(f"{name}: {folder}" for name, folder in folders.items())
    return printable(f"Judges: {', '.join(names)}. {told[0].upper()}{told[1:]}.")


def tabulate(rows: Sequence[Row]) -> dict[str, Table]:
    """A table for each group of measures, with the systems that have any of them."""
    found = {}
    for group in GROUPS:
        measures = [m for m in MEASURES if m.group == group and not np.isnan(values(rows, m.key)).all()]
        lines = []
        for label, own in sorts(rows).items():
            told = [summarise(own, measure.key) for measure in measures]
            if any(estimate.files for estimate in told):
                lines.append([label, f"{len(own)}", *(m.interval(e) for m, e in zip(measures, told, strict=True))])
        if lines:
            found[group] = Table(["", "n", *(m.title for m in measures)], lines)
    return found


def load(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows of ``scores.json``, or of the folder it lies in, and the judges with what they know singers by.

    Raises:
        DataError: it is no such file.
    """
    path = path / SCORES if path.is_dir() else path
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        judges = json.loads(json.dumps(asdict(Judges()))) | told["judges"] | {"references": told["known"]}
        judges["transcribe"] = judges.pop("whisper", "") or judges["transcribe"]  # as it was called before
        rows = told["rows"]
        for row in rows:
            if not all(isinstance(row[key], str) for key in NAMES):
                raise ValueError("rows without names")
            if not all(value is None or math.isfinite(value) for key, value in row.items() if key not in NAMES):
                raise ValueError("scores that are no numbers")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); make one with `svc evaluate -o`") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise DataError(f"{path}: no scores; make them with `svc evaluate -o`") from None
    return list(rows), judges


def _plain(value: Any) -> Any:
    """Without NaN, which is no JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _choose(found: Evaluation, count: int) -> list[Case]:
    likeness = {(r["song"], r["target"]): r["cosine"] for r in found.scored.rows if r["system"] == "voice"}
    told = [c for c in found.scored.cases if (c.song.key, c.target) in likeness and c.song.singer != c.target]
    told.sort(key=lambda case: likeness[case.song.key, case.target])
    return evenly(told, count)


def _section(found: Evaluation, case: Case) -> Section:
    """A conversion to hear and to see, between its source and a recording of the target."""
    row = next(
        r for r in found.scored.rows if (r["system"], r["song"], r["target"]) == ("voice", case.song.key, case.target)
    )
    source, output = read(case.song.path).first(SHOWN), read(case.output).first(SHOWN)
    asked, sung = found.panel.track(source), found.panel.track(output)
    shift = row["shift"] if not math.isnan(row["shift"]) else 0.0
    exhibits = [
        Exhibit(f"source: {case.song.key}", source, asked),
        Exhibit(f"output: as {case.target}", output, sung, asked * 2 ** (shift / 1200)),
    ]
    if case.output in found.scored.truths:
        truth = read(found.scored.truths[case.output]).first(SHOWN)
        exhibits.append(Exhibit(f"truth: {case.target} singing it", truth, found.panel.track(truth)))
    else:
        exhibits.append(Exhibit(f"reference: {case.target}", found.enrolled[case.target][0].first(SHOWN)))
    told = [m for m in MEASURES if not math.isnan(row.get(m.key, math.nan)) and m.group != IDENTITY]
    named = {1.0: "named the target, ", 0.0: "not named the target, "}.get(row["named_target"], "")
    text = f"{shift:+.0f} cents, {named}cosine {row['cosine']:.3f}; " + ", ".join(
        f"{m.title} {m.text(row[m.key])}" for m in told
    )
    return Section(f"{case.song.key} → {case.target}", text, exhibits)
