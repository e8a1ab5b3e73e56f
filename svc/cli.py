"""The command line. Torch is imported inside the commands, so that ``--help`` answers at once."""

import sys
from collections.abc import Callable
from typing import Any

import typer

from svc.errors import SvcError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """The console script ``svc``."""
    run_app(app)


def run(command: Callable[..., Any]) -> None:
    """Run one function as a program of its own."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command()(command)
    run_app(single)


def run_app(program: typer.Typer) -> None:
    """Run a program; what the user can mend is one sentence and exit code 2."""
    try:
        program()
    except SvcError as error:
        typer.echo(f"svc: {error}", err=True)
        sys.exit(2)
