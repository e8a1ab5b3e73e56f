"""The command line: commands are listed in the order in which they join."""

# ruff: noqa: I001

from svc.cli import making, singing, fitting, keeping, serving, judging  # noqa: F401, they join the program
from svc.cli.program import app, run, run_app


def main() -> None:
    """The console script ``svc``."""
    run_app(app)


__all__ = ["app", "main", "run"]
