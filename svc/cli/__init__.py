"""The command line, one module a command; --help lists them in the order of the imports: from recordings to songs."""

# ruff: noqa: I001

import sys

from svc.cli import (  # noqa: F401, each adds its command to the app
    prepare,
    train,
    export,
    convert,
    fit,
    evaluate,
    compare,
    speakers,
    rename,
    remove,
    merge,
    style,
    serve,
)
from svc.cli.app import app, expand_aliases, refuse_renamed_options, run, run_app


def main() -> None:
    """The console script ``svc``."""
    refuse_renamed_options(sys.argv[1:])
    run_app(app, expand_aliases(sys.argv[1:]))


__all__ = ["main", "run"]
