"""``svc evaluate``: how good a voice is."""

import os
from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import Force, app, check_device
from svc.errors import DataError, printable


@app.command()
def evaluate(
    sources: Annotated[Path, typer.Option(help="songs to convert: DIR/<singer>/**/*, or DIR/*")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the report, the scores and the conversions")],
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help="voice file made by `svc export`")] = None,
    references: Annotated[
        Path | None, typer.Option(help="DIR/<singer>/**/*: what singers are known by; SOURCES/<singer> if not given")
    ] = None,
    parallel: Annotated[
        Path | None, typer.Option(help="DIR/<singer>/<song>.*: how targets, and sources another time, sing the songs")
    ] = None,
    converted: Annotated[
        Path | None, typer.Option(help="ready conversions: DIR/<target>/<path of the source>.*")
    ] = None,
    speaker: Annotated[list[str] | None, typer.Option("-s", "--speaker", help="only this target; repeatable")] = None,
    targets: Annotated[int, typer.Option(min=1, help="others that each song is turned into")] = 3,
    shown: Annotated[int, typer.Option(min=0, help="conversions to hear and see in the report")] = 9,
    pitch: Annotated[str, typer.Option(help="judge of melodies: praat, pyin or crepe")] = "praat",
    identity: Annotated[str, typer.Option(help="judge of singers: resemblyzer, ecapa or cepstral")] = "resemblyzer",
    words: Annotated[str, typer.Option(help="judge of words: sphinx, mfcc or wav2letter")] = "sphinx",
    mos: Annotated[list[str] | None, typer.Option(help="dnsmos or squim; repeatable")] = None,
    transcribe: Annotated[
        str, typer.Option(help="compare transcripts: sphinx, of the words in <song>.txt; or Whisper's size or folder")
    ] = "",
    language: Annotated[str, typer.Option(help="of the words, for transcripts")] = "en",
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one; for converting")] = "cpu",
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="processes; one a core by default")] = None,
    force: Force = False,
) -> None:
    """Judge a voice, or ready conversions, and write a report to look at and to listen to."""
    if voice and converted:
        raise DataError("give --voice to convert, or --converted for ready conversions, not both")
    check_device(device)
    from svc.evaluation import publish
    from svc.evaluation.evaluator import Judges
    from svc.evaluation.run import CONVERTED, Request, evaluate
    from svc.inference.converter import Converter
    from svc.inference.voice import Voice

    written = [publish.SCORES, publish.TABLE, publish.PAGE] + [CONVERTED] * (converted is None)
    taken = [name for name in written if os.path.lexists(out / name)]
    if taken and not force:
        raise DataError(f"{out / taken[0]}: exists already; add -f to replace it or give another -o")
    judges = Judges(pitch, identity, words, tuple(mos or ()), transcribe, language)
    request = Request(
        sources=sources,
        references=references,
        parallel=parallel,
        converted=converted,
        out=out,
        targets=targets,
        speakers=tuple(speaker or ()),
        judges=judges,
        jobs=jobs,
    )
    converter = Converter(Voice.load(voice), device) if voice else None
    found = evaluate(request, converter)
    name = printable(str(voice or converted or "floor and ceiling"))
    typer.echo(publish.publish(found, request, name, shown))
    for reason in found.scored.skipped:
        typer.echo(printable(f"  skipped {reason}"))
    what = "conversions" if voice or converted else "pairs of a song and a singer, none of them converted,"
    typer.echo(f"{len(found.scored.cases)} {what} judged; skipped: {len(found.scored.skipped)}")
    typer.echo(printable(f"next: look and listen: {out / publish.PAGE}; against another: svc compare {out} OTHER"))
