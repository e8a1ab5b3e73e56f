"""``svc train``: train a voice on recordings or on a prepared folder."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import NOT_STATED, Licence, Note, Overrides, app

if TYPE_CHECKING:
    from svc.config import Config
    from svc.data.manifest import Manifest
    from svc.evaluation.validation_metrics import ValidationEvaluator

VOICE = "voice.safetensors"  # of the last checkpoint, in the folder of the run


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="folder made by `svc prepare`, or DATA/<speaker>/**/* to prepare first")],
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="YAML file, or base, 24k, demo, finetune, paper, pretrain")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="folder of the run, runs/DATA if not given; resumed if it exists")
    ] = None,
    voice: Annotated[
        Path | None,
        typer.Option("--from", help="voice file, or base, to start from; the default of -c is then finetune"),
    ] = None,
    overrides: Overrides = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="processes that prepare")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="do not use accelerators")] = False,
    allow_config_change: Annotated[
        bool, typer.Option("--allow-config-change", help="resume although the config changed")
    ] = False,
    licence: Licence = NOT_STATED,
    note: Note = NOT_STATED,
) -> None:
    """Train a voice, OUT/voice.safetensors.

    Ctrl-C stops early. Run the same command again to resume exactly.

    On several GPUs: accelerate launch -m svc train DATA
    """
    from svc.data.manifest import MANIFEST

    run = out or Path("runs") / data.resolve().name
    config = config or (Path("finetune") if voice else None)
    prepared = data
    if data.is_dir() and not (data / MANIFEST).exists():
        prepared = run / "prepared"
        prepare_data(data, prepared, config, overrides, jobs, cpu)
    card = {"licence": licence, "speakers": note}
    train_voice(
        prepared, run, config, overrides, voice=voice, cpu=cpu, allow_config_change=allow_config_change, card=card
    )


def prepare_data(
    data: Path, out: Path, config: Path | None, overrides: list[str] | None, jobs: int | None, cpu: bool
) -> None:
    """Prepare a folder of recordings, as `svc prepare` does."""
    from svc.cli.prepare import print_summary
    from svc.config import load, parse_overrides
    from svc.data.prepare import prepare
    from svc.utils.distributed import process_group

    main = process_group(cpu).main  # before any error: the others would wait for a process that does not join
    if main:
        out.parent.mkdir(parents=True, exist_ok=True)
    summary = prepare(data, out, load(config, parse_overrides(overrides or [])), jobs)
    if main:
        print_summary(summary, out)


def train_voice(
    prepared: Path,
    run: Path,
    config: Path | None,
    overrides: list[str] | None = None,
    *,
    voice: Path | None = None,
    cpu: bool = False,
    allow_config_change: bool = False,
    card: Mapping[str, str] = MappingProxyType({"licence": NOT_STATED, "speakers": NOT_STATED}),
) -> None:
    """Train on a prepared folder, write the voice, finished or not, and print the result; also the recipe."""
    from svc.adaptation.initial_weights import initialise_from
    from svc.cli.export import export_run
    from svc.config import load, parse_overrides
    from svc.data import manifest
    from svc.data.prepare import check_config
    from svc.data.provenance import training_data
    from svc.evaluation.evaluator import independence_notes
    from svc.evaluation.validation_metrics import write_training_report
    from svc.features.training_data import TrainingData, check_licence
    from svc.inference.base_voice import find_voice
    from svc.inference.voice_header import read_header
    from svc.training import loop
    from svc.utils.distributed import joined_state

    options = load(config, parse_overrides(overrides or []))
    clips = manifest.read(prepared)
    main_process = joined_state(cpu).is_main_process
    check_config(clips, options)
    initial_data = read_header(find_voice(voice)).training_data if voice else TrainingData()
    check_licence(card["licence"], training_data(clips.clips) | initial_data)
    initialise = (
        initialise_from(find_voice(voice), options, [speaker.name for speaker in clips.speakers]) if voice else None
    )
    evaluator = validation_evaluator(clips, options) if main_process else None
    outcome = loop.train(
        clips, run, options, cpu=cpu, allow_config_change=allow_config_change, score=evaluator, initialise=initialise
    )
    if not main_process:
        return
    state = "stopped and saved" if outcome.interrupted else "finished"
    best = (
        f"best overall score {outcome.best_score:.3f} at step {outcome.best_step}"
        if outcome.best_step is not None
        else "not validated yet"
    )
    typer.echo(f"{state} at step {outcome.step}, {best}")
    if evaluator:
        typer.echo(
            write_training_report(run, evaluator, outcome.outputs, independence_notes(evaluator.metrics, options))
        )
    report = f"open {run}/report.html, or " if evaluator else ""
    typer.echo(f"{report}run tensorboard --logdir {run}")
    exported = export_run(run, "last", dict(card))
    exported.save(run / VOICE)
    typer.echo(f"{run / VOICE}: {len(exported.speakers)} speakers")
    more = "; to continue, run the same command again" if outcome.interrupted else ""
    typer.echo(f"next: svc convert --voice {run / VOICE} --speaker {exported.speakers[0].name!r} SONG.wav{more}")


def validation_evaluator(prepared: "Manifest", config: "Config") -> "ValidationEvaluator | None":
    """The metrics of `svc evaluate` for the validation clips, if their libraries are installed."""
    from svc.evaluation.evaluator import checkpoint_metrics
    from svc.evaluation.validation_metrics import ValidationEvaluator
    from svc.utils.optional import MissingExtra

    try:
        return ValidationEvaluator(prepared, checkpoint_metrics(config))
    except MissingExtra as error:
        typer.echo(f"validation clips are scored by their spectral distance alone: {error}", err=True)
        return None
