"""The command line: commands are listed in the order in which they join."""

# ruff: noqa: I001

from svc.cli import prepare, export, convert, fit, voices, serve, evaluate, compare  # noqa: F401, they join the program
from svc.cli import app
from svc.cli.app import run, run_app


def main() -> None:
    """The console script ``svc``."""
    run_app(app.app)


__all__ = ["main", "run"]
