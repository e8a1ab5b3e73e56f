"""``svc evaluate``: metrics, tables and a report of a voice or of existing conversions."""

import os
from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import Force, app, check_device
from svc.errors import DataError, printable


@app.command()
def evaluate(
    sources: Annotated[Path, typer.Option(help="songs to convert: DIR/<speaker>/**/*, or DIR/*")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the report, the scores and the conversions")],
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help="voice file made by `svc export`")] = None,
    enrolment: Annotated[
        Path | None, typer.Option(help="enrolment recordings: DIR/<speaker>/**/*; SOURCES/<speaker> if not given")
    ] = None,
    parallel: Annotated[
        Path | None,
        typer.Option(help="DIR/<speaker>/<song>.*: the songs performed by the targets, and other takes of the sources"),
    ] = None,
    converted: Annotated[
        Path | None, typer.Option(help="existing conversions: DIR/<target>/<path of the source>.*")
    ] = None,
    speaker: Annotated[list[str] | None, typer.Option("-s", "--speaker", help="only this target; repeatable")] = None,
    num_targets: Annotated[int, typer.Option(min=1, help="other speakers that each song is converted to")] = 3,
    num_examples: Annotated[int, typer.Option(min=0, help="conversions to play in the report")] = 9,
    f0_tracker: Annotated[str, typer.Option(help="praat, pyin or crepe")] = "praat",
    speaker_encoder: Annotated[
        str, typer.Option(help="campplus (campplus:FOLDER of its weights), resemblyzer, ecapa or cepstral")
    ] = "resemblyzer",
    content_metric: Annotated[str, typer.Option(help="phone-classifier or mfcc")] = "phone-classifier",
    mos: Annotated[list[str] | None, typer.Option(help="distillmos, dnsmos or squim; repeatable")] = None,
    asr: Annotated[
        str, typer.Option(help="compare transcripts: Whisper's size or FOLDER, or sphinx (words of <song>.txt)")
    ] = "",
    language: Annotated[str, typer.Option(help="of the lyrics, for --asr")] = "en",
    device: Annotated[str, typer.Option(help="cpu or cuda, for converting")] = "cpu",
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="processes; one for each core by default")
    ] = None,
    force: Force = False,
) -> None:
    """Evaluate a voice, or existing conversions, and write a report with tables, figures and audio."""
    if voice and converted:
        raise DataError("give --voice to convert, or --converted for existing conversions, not both")
    check_device(device)
    from svc.evaluation import report
    from svc.evaluation.evaluator import EvaluatorConfig
    from svc.evaluation.run import CONVERTED, SOURCE_FILTER, EvaluationRequest, evaluate
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile

    written = [report.SCORES, report.TABLE, report.PAGE] + ([] if converted else [CONVERTED, SOURCE_FILTER])
    existing = [name for name in written if os.path.lexists(out / name)]
    if existing and not force:
        raise DataError(f"{out / existing[0]}: exists already; add -f to replace it or give another -o")
    metrics = EvaluatorConfig(f0_tracker, speaker_encoder, content_metric, tuple(mos or ()), asr, language)
    request = EvaluationRequest(
        sources=sources,
        enrolment=enrolment,
        parallel=parallel,
        converted=converted,
        out=out,
        num_targets=num_targets,
        speakers=tuple(speaker or ()),
        metrics=metrics,
        jobs=jobs,
    )
    converter = Converter(VoiceFile.load(voice), device) if voice else None
    evaluation = evaluate(request, converter)
    name = printable(str(voice or converted or "source, baseline and truth"))
    typer.echo(report.write_report(evaluation, request, name, num_examples))
    for line in evaluation.notes + [f"skipped {reason}" for reason in evaluation.scores.skipped]:
        typer.echo(printable(f"  {line}"))
    what = "conversions" if voice or converted else "pairs of a song and a target, without conversions,"
    typer.echo(f"{len(evaluation.scores.pairs)} {what} evaluated; skipped: {len(evaluation.scores.skipped)}")
    typer.echo(printable(f"next: open {out / report.PAGE}; compare with another: svc compare {out} OTHER"))
