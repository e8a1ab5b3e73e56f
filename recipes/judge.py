"""Judge a voice on the held-out clips of a prepared folder: melody, loudness, identity, reconstructed and converted.

Needs the ``eval`` extra. Identity stands between a floor (the source as it is) and a ceiling (a singer's own clips).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from svc import cli
from svc.errors import DataError

if TYPE_CHECKING:  # torch is imported inside the functions, so that --help answers at once
    from svc.audio.files import Audio
    from svc.convert import Converter
    from svc.data.manifest import Clip, Manifest
    from svc.evaluate.judges import SpeakerJudge
    from svc.evaluate.measures import Curve
    from svc.evaluate.report import Section, Table

ENROLMENT = 10  # training clips of each singer
Row = dict[str, Any]  # scores of one conversion


def main(
    voice: Annotated[Path, typer.Argument(help="voice file")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for scores.json and some of the audio")],
    only: Annotated[str, typer.Option(help="judge and enrol only clips with this in their path")] = "",
    clips: Annotated[int, typer.Option(min=1, help="at most so many held-out clips")] = 36,
    targets: Annotated[int, typer.Option(min=0, help="conversions of each clip")] = 3,
    kept: Annotated[int, typer.Option(min=0, help="clips whose audio and pictures go into the report")] = 4,
) -> None:
    """Reconstruct and convert held-out clips and print the table of measures."""
    from svc.convert import Converter
    from svc.data import manifest
    from svc.evaluate import report
    from svc.progress import progress
    from svc.voice import Voice

    converter = Converter(Voice.load(voice))
    plan = choose(manifest.read(prepared), [singer.name for singer in converter.voice.singers], only, clips)
    judge = enrol(plan)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    sections: list[Section] = []
    for position, clip in enumerate(progress(plan.held, "judge", "clip", len(plan.held))):
        scored, section = judge_clip(converter, judge, plan, clip, plan.targets(clip, position, targets))
        rows += scored
        if position < kept:
            sections.append(section)
    table = tabulate(rows)
    (out / "scores.json").write_text(json.dumps(rows, indent=1) + "\n")
    report.write(out / "report.html", f"{voice}", f"{len(plan.held)} held-out clips", table, sections)
    for position, section in enumerate(sections):
        with (out / f"{position}_{Path(section.heading).stem}.png").open("wb") as stream:
            report.picture(section, stream)
    typer.echo(table.markdown())
    typer.echo(f"next: look and listen: {out}/report.html")


@dataclass(frozen=True)
class Plan:
    """What is judged: the singers of a voice, clips to know each of them by, and held-out clips."""

    known: "Manifest"
    names: list[str]
    own: "dict[str, list[Clip]]"
    held: "list[Clip]"

    def targets(self, clip: "Clip", position: int, count: int) -> list[str]:
        """Names to sing a clip as: its own singer first, then others, which change with the position."""
        others = len(self.names) - 1
        count = min(count, others)
        steps = [(1 + position + k * len(self.names) // count) % others + 1 for k in range(count)]
        number = self.names.index(clip.singer)
        return [self.names[(number + step) % len(self.names)] for step in (0, *steps)]


def choose(known: "Manifest", names: list[str], only: str, count: int) -> Plan:
    """The clips to judge a voice of these singers by.

    Raises:
        DataError: there is one singer alone, the folder holds others, or ``only`` leaves too few clips.
    """
    if len(names) < 2:
        raise DataError(f"the voice knows {names[0]} alone, whom nobody can be taken for; judge one of two or more")
    if set(names) != {singer.name for singer in known.singers}:
        raise DataError(f"{known.folder}: holds other singers than the voice; name the folder it was trained on")
    own = {name: [c for c in known.split("train") if c.singer == name and only in c.path] for name in names}
    missing = [name for name, found in own.items() if not found]
    if missing:
        raise DataError(f"{known.folder}: no training clip of {', '.join(missing)} has {only!r} in it; change --only")
    held = sorted((c for c in known.split("valid") if only in c.path), key=lambda clip: clip.key)[:count]
    if not held:
        raise DataError(f"{known.folder}: no held-out clip has {only!r} in it; change --only or prepare more clips")
    return Plan(known, names, own, held)


def enrol(plan: Plan) -> "SpeakerJudge":
    """A judge who knows the singers by clips evenly taken from all that they train on."""
    from svc.evaluate.judges import SpeakerJudge

    chosen = {name: found[:: max(1, len(found) // ENROLMENT)][:ENROLMENT] for name, found in plan.own.items()}
    return SpeakerJudge({name: [read(plan.known, clip) for clip in found] for name, found in chosen.items()})


def read(known: "Manifest", clip: "Clip") -> "Audio":
    """A prepared clip."""
    from svc.audio.files import Audio
    from svc.data.dataset import read_audio
    from svc.features.store import Store
    from svc.units import hop_samples

    rate = int(known.features["sample_rate"])
    samples = read_audio(Store(known.folder / "store"), clip, 0, clip.frames, hop_samples(rate))
    return Audio(samples[0].numpy(), rate)


def judge_clip(
    converter: "Converter", judge: "SpeakerJudge", plan: Plan, clip: "Clip", targets: list[str]
) -> "tuple[list[Row], Section]":
    """Score a clip as each target sings it; the melodies in the report are Praat's of that very audio."""
    from svc.evaluate import judges, report
    from svc.features.extract import measure_loudness

    source = read(plan.known, clip)
    asked, level = judges.praat_pitch(source), measure_loudness(source)
    exhibits = [report.Exhibit(f"source: {clip.singer}", source, asked)]
    rows = []
    for target in targets:
        made, told = converter.convert(source, target, transpose="auto" if target != clip.singer else 0.0)
        sung = judges.praat_pitch(made)
        row: Row = {"clip": clip.path, "singer": clip.singer, "target": target, "transpose": told.transpose}
        row |= score_melody(asked, sung)
        row |= {"loudness": float(np.corrcoef(level, measure_loudness(made))[0, 1])}
        row |= score_identity(judge.cosines(source), judge.cosines(made), clip.singer, target)
        rows.append(row)
        exhibits.append(report.Exhibit(f"as {target} {told.transpose:+g}", made, sung))
    return rows, report.Section(clip.path, "", exhibits)


def score_melody(asked: "Curve", sung: "Curve") -> Row:
    """Errors in cents of a melody (N,) in Hz around its own shift from the source's (N,), 0 where unvoiced."""
    from svc.evaluate.measures import pitch_error

    both = (asked > 0) & (sung > 0)
    cents = 1200 * np.log2(sung[both] / asked[both])
    shift = float(np.median(cents)) if len(cents) else 0.0
    return {
        "shift_cents": shift if len(cents) else None,
        "f0_errors": [round(float(error), 2) for error in np.abs(cents - shift)],
        "voicing": pitch_error(sung=sung, asked=asked).voicing,
    }


def score_identity(before: dict[str, float], after: dict[str, float], singer: str, target: str) -> Row:
    """Whom the source and what was made of it are taken for, and how like they are to whom."""
    return {
        "named": max(after, key=lambda name: after[name]),
        "named_before": max(before, key=lambda name: before[name]),
        "cosine": after[target],
        "cosine_before": before[target],
        "cosine_own": before[singer],
    }


def tabulate(rows: list[Row]) -> "Table":
    """A row for what was reconstructed and for each kind of conversion."""
    from svc.evaluate.report import Table

    converted = [r for r in rows if r["singer"] != r["target"]]
    groups = {
        "reconstructed": [r for r in rows if r["singer"] == r["target"]],
        "converted": converted,
        "· same octave": [r for r in converted if r["transpose"] == 0],
        "· by an octave": [r for r in converted if r["transpose"] != 0],
    }
    columns = ["", "n", "f0 RMSE, cents", "median", "> 50 cents", "V/UV error", "loudness corr."]
    columns += ["named target", "named source", "source named target", "cosine (floor, ceiling)"]
    return Table(columns, [[name, *cells(group)] for name, group in groups.items() if group])


def cells(group: list[Row]) -> list[str]:
    """The means of a group as text."""
    errors = np.concatenate([r["f0_errors"] for r in group])
    if not len(errors):
        errors = np.array([math.nan])

    def mean(name: str) -> float:
        return float(np.mean([r[name] for r in group]))

    def share(name: str, wanted: str) -> str:
        return f"{np.mean([r[name] == r[wanted] for r in group]):.0%}"

    return [
        f"{len(group)}",
        f"{np.sqrt(np.mean(errors**2)):.1f}",
        f"{np.median(errors):.2f}",
        f"{np.mean(np.where(np.isnan(errors), math.nan, errors > 50)):.2%}",
        f"{mean('voicing'):.2%}",
        f"{mean('loudness'):.3f}",
        share("named", "target"),
        share("named", "singer"),
        share("named_before", "target"),
        f"{mean('cosine'):.3f} ({mean('cosine_before'):.3f}, {mean('cosine_own'):.3f})",
    ]


if __name__ == "__main__":
    cli.run(main)
