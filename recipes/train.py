"""Train a voice: ``accelerate launch recipes/train.py CONFIG PREPARED -o RUN``; the same as ``svc train PREPARED``."""

from pathlib import Path
from typing import Annotated

import typer

from svc import cli
from svc.cli.app import Overrides
from svc.cli.train import train_voice


def main(
    config: Annotated[Path, typer.Argument(help="YAML file of differences from the defaults, or base, demo or paper")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the run; resumed if it exists")],
    overrides: Overrides = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="do not use accelerators")] = False,
    allow_config_change: Annotated[
        bool, typer.Option("--allow-config-change", help="resume although the config changed")
    ] = False,
) -> None:
    """Train a voice. Run the same command again to resume exactly."""
    train_voice(prepared, out, config, overrides, cpu=cpu, allow_config_change=allow_config_change)


if __name__ == "__main__":
    cli.run(main)
