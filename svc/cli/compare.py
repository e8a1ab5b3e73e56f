"""``svc compare``: significance of the differences between two evaluations."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import app
from svc.errors import DataError


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="scores.json of `svc evaluate`, or its folder")],
    b: Annotated[Path, typer.Argument(help="the same of another voice or system, on the same songs")],
) -> None:
    """Compare two evaluations song by song.

    Each measure has a paired significance test.
    """
    from svc.evaluation import compare as comparison
    from svc.evaluation.report import load_scores

    names = (str(a), str(b))
    (rows_a, setup_a), (rows_b, setup_b) = load_scores(a), load_scores(b)
    if setup_a != setup_b:
        raise DataError(f"{a} and {b}: made with other metrics or other enrolment recordings; evaluate both alike")
    for kind, differences in comparison.compare(rows_a, rows_b).items():
        typer.echo(f"\n**{kind}**, {names[1]} against {names[0]}\n")
        typer.echo(comparison.tabulate(differences, *names).markdown())
        typer.echo(f"\n{comparison.summarise(differences, names[1])}")
    typer.echo(f"next: listen to {b if b.is_dir() else b.parent}/report.html")
