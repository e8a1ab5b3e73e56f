"""``svc compare``: whether one voice is better than another."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import app
from svc.errors import DataError


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="scores.json of `svc evaluate`, or its folder")],
    other: Annotated[Path, typer.Argument(help="the same of another voice or run, on the same songs")],
) -> None:
    """Tell whether one voice is better than another by more than chance, song by song."""
    from svc.evaluation import compare as comparing
    from svc.evaluation.publish import load

    names = (str(one), str(other))
    (first, judges), (second, others) = load(one), load(other)
    if judges != others:
        raise DataError(f"{one} and {other}: heard by other judges or with other references; evaluate both alike")
    for kind, differences in comparing.compare(first, second).items():
        typer.echo(f"\n**{kind}**, {names[1]} against {names[0]}\n")
        typer.echo(comparing.tabulate(differences, *names).markdown())
        typer.echo(f"\n{comparing.conclude(differences, names[1])}")
    typer.echo(f"next: listen to {other if other.is_dir() else other.parent}/report.html")
