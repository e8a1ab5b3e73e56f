"""The command line."""

from svc.cli import fitting, judging, keeping, making, serving, singing  # noqa: F401, they join the program
from svc.cli.program import app, run, run_app


def main() -> None:
    """The console script ``svc``."""
    run_app(app)


__all__ = ["app", "main", "run"]
