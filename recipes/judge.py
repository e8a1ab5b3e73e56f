"""Judge a voice on the held-out clips of a prepared folder: melody, loudness, identity, reconstructed and converted.

Needs the ``eval`` extra. Identity stands between a floor (the source as it is) and a ceiling (a singer's own clips).
"""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from svc import cli

ENROLMENT = 10  # training clips of each singer


def main(
    voice: Annotated[Path, typer.Argument(help="voice file")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for scores.json and some of the audio")],
    only: Annotated[str, typer.Option(help="judge and enrol only clips with this in their path")] = "",
    clips: Annotated[int, typer.Option(help="at most so many held-out clips")] = 36,
    targets: Annotated[int, typer.Option(help="conversions of each clip")] = 3,
    kept: Annotated[int, typer.Option(help="clips whose audio and pictures go into the report")] = 4,
) -> None:
    """Reconstruct and convert held-out clips and print the table of measures."""
    from svc.convert import Converter
    from svc.data import manifest
    from svc.evaluate import judges, report
    from svc.progress import progress
    from svc.voice import Voice

    known = manifest.read(prepared)
    converter = Converter(Voice.load(voice))
    names = [singer.name for singer in converter.voice.singers]
    training = [clip for clip in known.split("train") if only in clip.path]
    own = {name: [c for c in training if c.singer == name] for name in names}
    enrolled = {
        name: [_audio(known, clip) for clip in found[:: max(1, len(found) // ENROLMENT)][:ENROLMENT]]
        for name, found in own.items()
    }
    judge = judges.SpeakerJudge(enrolled)
    held = sorted((c for c in known.split("valid") if only in c.path), key=lambda clip: clip.key)[:clips]
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    sections = []
    for position, clip in enumerate(progress(held, "judge", "clip", len(held))):
        source = _audio(known, clip)
        number = names.index(clip.singer)
        exhibits = [report.Exhibit(f"source: {clip.singer}", source, judges.praat_pitch(source))]
        steps = [0, *((1 + position + k * len(names) // targets) % (len(names) - 1) + 1 for k in range(targets))]
        for step in steps:
            target = names[(number + step) % len(names)]
            made, told = converter.convert(source, target, transpose="auto" if step else 0.0)
            rows.append(_score(judge, clip.singer, target, source, made, told.transpose) | {"clip": clip.path})
            exhibits.append(report.Exhibit(f"as {target} {told.transpose:+g}", made, judges.praat_pitch(made)))
        if position < kept:
            sections.append(report.Section(clip.path, "", exhibits))
    lines = _table(rows)
    (out / "scores.json").write_text(json.dumps(rows, indent=1) + "\n")
    cells = [line.split("|")[1:-1] for line in lines]
    report.write(out / "report.html", f"{voice}", f"{len(held)} held-out clips", cells[0], cells[2:], sections)
    for section in sections:
        with (out / f"{Path(section.heading).stem}.png").open("wb") as stream:
            report.picture(section, stream)
    for line in lines:
        typer.echo(line)
    typer.echo(f"next: look and listen: {out}/report.html")


def _audio(known: Any, clip: Any) -> Any:
    from svc.audio.files import Audio
    from svc.data.dataset import read_audio
    from svc.features.store import Store

    rate = int(known.features["sample_rate"])
    store = Store(known.folder / "store")
    return Audio(read_audio(store, clip, 0, clip.frames, rate // 100)[0].numpy(), rate)


def _score(judge: Any, singer: str, target: str, source: Any, made: Any, transpose: float) -> dict[str, Any]:
    from svc.evaluate import judges, measures
    from svc.features.extract import measure_loudness

    asked = judges.praat_pitch(source)
    sung = judges.praat_pitch(made)
    both = (asked > 0) & (sung > 0)
    cents = 1200 * np.log2(sung[both] / asked[both])
    shift = float(np.median(cents)) if len(cents) else math.nan
    errors = np.abs(cents - shift)
    similar, before = judge.cosines(made), judge.cosines(source)
    pitch = measures.pitch_error(sung=sung, asked=asked * 2 ** (shift / 1200))
    return {
        "singer": singer,
        "target": target,
        "transpose": transpose,
        "shift_cents": shift,
        "f0_errors": [round(float(e), 2) for e in errors],
        "voicing": pitch.voicing,
        "loudness": float(np.corrcoef(measure_loudness(source), measure_loudness(made))[0, 1]),
        "named": max(similar, key=lambda name: similar[name]),
        "named_before": max(before, key=lambda name: before[name]),
        "cosine": similar[target],
        "cosine_before": before[target],
        "cosine_own": before[singer],
    }


def _table(rows: list[dict[str, Any]]) -> list[str]:
    groups = {
        "reconstructed": [r for r in rows if r["singer"] == r["target"]],
        "converted": [r for r in rows if r["singer"] != r["target"]],
        "· same octave": [r for r in rows if r["singer"] != r["target"] and r["transpose"] == 0],
        "· by an octave": [r for r in rows if r["singer"] != r["target"] and r["transpose"] != 0],
    }
    lines = [
        "| | n | f0 RMSE, cents | median | > 50 cents | V/UV error | loudness corr. "
        "| named target | named source | source named target | cosine (floor, ceiling) |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, group in groups.items():
        if not group:
            continue
        errors = np.concatenate([r["f0_errors"] for r in group])
        lines.append(
            f"| {name} | {len(group)} | {np.sqrt(np.mean(errors**2)):.1f} | {np.median(errors):.2f} "
            f"| {np.mean(errors > 50):.2%} | {np.mean([r['voicing'] for r in group]):.2%} "
            f"| {np.mean([r['loudness'] for r in group]):.3f} "
            f"| {np.mean([r['named'] == r['target'] for r in group]):.0%} "
            f"| {np.mean([r['named'] == r['singer'] for r in group]):.0%} "
            f"| {np.mean([r['named_before'] == r['target'] for r in group]):.0%} "
            f"| {np.mean([r['cosine'] for r in group]):.3f} ({np.mean([r['cosine_before'] for r in group]):.3f}, "
            f"{np.mean([r['cosine_own'] for r in group]):.3f}) |"
        )
    return lines


if __name__ == "__main__":
    cli.run(main)
