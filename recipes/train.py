"""Train a voice, or go on training it: ``accelerate launch recipes/train.py CONFIG PREPARED -o RUN``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli

if TYPE_CHECKING:  # torch is imported inside the functions, so that --help answers at once
    from svc.data.manifest import Manifest
    from svc.evaluation.validation_metrics import Rehearsal


def main(
    config: Annotated[Path, typer.Argument(help="YAML of differences from the defaults, as configs/base.yaml")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the run; an earlier run there is resumed")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="knob=value, e.g. train.steps=500")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="leave accelerators alone")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="resume although the config changed")
    ] = False,
) -> None:
    """Train a voice, or go on training it: running the same command again resumes exactly."""
    from accelerate import PartialState

    from svc.config import load, parse_overrides
    from svc.data import manifest
    from svc.data.prepare import check_config
    from svc.evaluation.validation_metrics import publish
    from svc.training.loop import train

    knobs = load(config, parse_overrides(overrides or []))
    read = manifest.read(prepared)
    main_process = PartialState(cpu=cpu).is_main_process
    check_config(read, knobs)
    judge = rehearsal_of(read) if main_process else None
    outcome = train(read, out, knobs, cpu=cpu, accept_changes=accept_changes, judge=judge)
    if not main_process:
        return
    what = "stopped and saved" if outcome.interrupted else "done"
    best = (
        f"best overall score {outcome.best:.3f} at step {outcome.best_step}"
        if outcome.best_step is not None
        else "not validated yet"
    )
    typer.echo(f"{what} at step {outcome.step}, {best}")
    if judge:
        typer.echo(publish(out, judge, outcome.renditions))
    typer.echo(f"look and listen: {out}/report.html, or tensorboard --logdir {out}")
    export = f"svc export {out} -o {out}/voice.safetensors"
    typer.echo(f"next: {'the same command again, to go on' if outcome.interrupted else export}")


def rehearsal_of(prepared: "Manifest") -> "Rehearsal | None":
    """The judges of `svc evaluate` for the fixed phrases, if their libraries are installed."""
    from svc.evaluation.evaluator import Judges
    from svc.evaluation.validation_metrics import Rehearsal
    from svc.utils.optional import MissingExtra

    try:
        return Rehearsal(prepared, Judges())
    except MissingExtra as error:
        typer.echo(f"phrases are judged by their spectral distance alone: {error}", err=True)
        return None


if __name__ == "__main__":
    cli.run(main)
