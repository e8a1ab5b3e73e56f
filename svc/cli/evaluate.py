"""``svc evaluate``: metrics, tables and a report of a voice or of existing conversions."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import Force, GuidanceOption, app, check_device
from svc.errors import DataError, printable
from svc.inference.base_voice import find_voice

if TYPE_CHECKING:
    from svc.evaluation.run import EvaluationRequest
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile


@app.command()
def evaluate(
    sources: Annotated[Path, typer.Option(help="songs to convert: DIR/<speaker>/**/*, or DIR/*")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the report, the scores and the conversions")],
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help="voice file, or base")] = None,
    enrolment: Annotated[
        Path | None, typer.Option(help="enrolment recordings: DIR/<speaker>/**/*; SOURCES/<speaker> if not given")
    ] = None,
    parallel: Annotated[
        Path | None,
        typer.Option(help="DIR/<speaker>/<song>.*: the songs performed by the targets"),
    ] = None,
    converted: Annotated[
        Path | None, typer.Option(help="existing conversions: DIR/<target>/<path of the source>.*")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="seen-speakers, unseen-sources, zero-shot, one-minute or harmony; SOURCES is a corpus")
    ] = "",
    speaker: Annotated[list[str] | None, typer.Option("-s", "--speaker", help="only this target; repeatable")] = None,
    num_targets: Annotated[int, typer.Option(min=1, help="other speakers that each song is converted to")] = 3,
    num_examples: Annotated[int, typer.Option(min=0, help="conversions to play in the report")] = 9,
    f0_tracker: Annotated[str, typer.Option(help="praat or pyin")] = "praat",
    speaker_encoder: Annotated[
        str, typer.Option(help="campplus (campplus:FOLDER of its weights), resemblyzer, ecapa or cepstral")
    ] = "resemblyzer",
    mos: Annotated[list[str] | None, typer.Option(help="distillmos or dnsmos; repeatable")] = None,
    asr: Annotated[str, typer.Option(help="compare transcripts by Whisper: a size, or the FOLDER of a model")] = "",
    language: Annotated[str, typer.Option(help="of the lyrics, for --asr")] = "en",
    guidance: GuidanceOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps, for converting")] = "cpu",
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="threads; one for each core by default")
    ] = None,
    force: Force = False,
) -> None:
    """Evaluate a voice, or existing conversions.

    Writes a report with tables, figures and audio.
    """
    voice = voice and find_voice(voice)
    if voice and converted:
        raise DataError("give --voice to convert, or --converted for existing conversions, not both")
    if protocol and not voice:
        raise DataError(f"--protocol {protocol}: converts, so give --voice")
    check_device(device)
    from svc.evaluation.evaluator import EvaluatorConfig
    from svc.evaluation.run import EvaluationRequest
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile

    metrics = EvaluatorConfig(f0_tracker, speaker_encoder, tuple(mos or ()), asr, language)
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
    loaded = VoiceFile.load(voice) if voice else None
    path = (voice or converted or sources).absolute()
    name = printable(path.parent.name if path.name == "voice.safetensors" else path.stem)
    if protocol and loaded:
        _check_new([request], protocol, force)
        loaded, requests = _plan_protocol(protocol, request, loaded)
    else:
        requests = [request]
        _check_new(requests, protocol, force)
    for planned in requests:
        _evaluate(planned, Converter(loaded, device, guidance) if loaded else None, name, num_examples)
    typer.echo(printable(f"next: open {requests[0].out / 'report.html'}; compare with another: svc compare "
                         f"{requests[0].out} OTHER"))  # fmt: skip


def _check_new(requests: "Sequence[EvaluationRequest]", protocol: str, force: bool) -> None:
    """Nothing is overwritten without --force."""
    from svc.evaluation import report
    from svc.evaluation.run import CONVERTED, SOURCE_FILTER

    for request in requests:
        written = [report.SCORES, report.TABLE, report.PAGE] + ([] if request.converted else [CONVERTED, SOURCE_FILTER])
        written += ["recordings", "clean"] if protocol else []
        existing = [name for name in written if os.path.lexists(request.out / name)]
        if existing and not force:
            raise DataError(f"{request.out / existing[0]}: exists already; add -f to replace it or give another -o")


def _plan_protocol(
    protocol: str, request: "EvaluationRequest", voice: "VoiceFile"
) -> "tuple[VoiceFile, list[EvaluationRequest]]":
    """The voice of a protocol, with speakers added if it fits some, and what to evaluate."""
    from svc.adaptation.pipeline import AdaptOptions, adapt
    from svc.adaptation.zero_shot import add_speaker
    from svc.audio.find import find_audio
    from svc.evaluation.protocols import FOLDER, SPEECH_SECONDS, arrange, write_harmony_inputs

    arranged = arrange(protocol, request, [speaker.name for speaker in voice.speakers], voice.training_data)
    if protocol in SPEECH_SECONDS:
        for target in arranged.speakers:
            speech = request.out / FOLDER / "speech" / target
            typer.echo(printable(f"{protocol}: {target} from {SPEECH_SECONDS[protocol]:.0f} s of speech"))
            if protocol == "zero-shot":
                voice = add_speaker(voice, target, list(find_audio(speech)))
            else:
                work_dir = request.out / "fit" / target
                work_dir.parent.mkdir(parents=True, exist_ok=True)
                result = adapt(voice, speech, AdaptOptions(target, "speech"), work_dir, jobs=request.jobs)
                if result.outcome.interrupted:
                    raise KeyboardInterrupt
                voice = result.voice
        voice.save(request.out / "voice.safetensors")
    if protocol != "harmony":
        return voice, [arranged]
    skipped: list[str] = []
    inputs = write_harmony_inputs(arranged.sources, request.out / FOLDER, skipped)
    for line in skipped:
        typer.echo(printable(f"  skipped {line}"))
    return voice, [replace(arranged, out=request.out / kind, inputs=folder) for kind, folder in inputs.items()]


def _evaluate(request: "EvaluationRequest", converter: "Converter | None", name: str, examples: int) -> None:
    """Evaluate, write the report and print the summary."""
    from svc.evaluation import report
    from svc.evaluation.metrics.table import mean
    from svc.evaluation.protocols import ANCHORS
    from svc.evaluation.run import evaluate as run

    evaluation = run(request, converter)
    scores = evaluation.scores
    typer.echo(report.write_report(evaluation, request, name, examples))
    for line in evaluation.notes + [f"skipped {reason}" for reason in scores.skipped]:
        typer.echo(printable(f"  {line}"))
    typer.echo(f"{len(scores.pairs)} conversions evaluated; skipped: {len(scores.skipped)}")
    if request.out.name in ANCHORS and converter:
        rows = [r for r in scores.rows if r["system"] == "voice" and r["speaker"] != r["target"] and not r.get("seen")]
        anchors = ANCHORS[request.out.name]
        every, notes = (f"{mean(rows, key):.1%}" for key in ("log_f0_pcc", "log_f0_pcc_notes"))
        typer.echo(f"{request.out.name}: LogF0PCC {every}, of notes {notes} (on other songs: {anchors})")
