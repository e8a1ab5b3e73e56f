"""Train a voice, or go on training it: ``accelerate launch recipes/train.py CONFIG PREPARED -o RUN``."""

from pathlib import Path
from typing import Annotated

import typer

from svc import cli


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
    from svc.training.loop import train

    knobs = load(config, parse_overrides(overrides or []))
    outcome = train(manifest.read(prepared), out, knobs, cpu=cpu, accept_changes=accept_changes)
    if not PartialState().is_main_process:
        return
    what = "stopped and saved" if outcome.interrupted else "done"
    best = (
        f"best validation {outcome.best:.3f} at step {outcome.best_step}" if outcome.best_step else "not validated yet"
    )
    typer.echo(f"{what} at step {outcome.step}, {best}")
    typer.echo(f"look and listen: tensorboard --logdir {out}")
    export = f"svc export {out} -o {out}/voice.safetensors"
    typer.echo(f"next: {'the same command again, to go on' if outcome.interrupted else export}")


if __name__ == "__main__":
    cli.run(main)
