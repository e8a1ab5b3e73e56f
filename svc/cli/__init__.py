"""The command line; a module of this folder holds a command, ``speakers`` those that change a voice's speakers."""

import importlib
import sys

from svc.cli.app import Command, app, expand_aliases, run, run_app

COMMANDS = (  # in the order of --help: from recordings to songs
    "prepare", "train", "export", "convert", "fit", "evaluate", "compare", "speakers", "rename", "remove", "merge",
    "style", "serve",
)  # fmt: skip
MODULES = dict.fromkeys(("rename", "remove", "merge"), "speakers")  # that are not called like their command

__all__ = ["main", "run"]


def main() -> None:
    """The console script ``svc``; of a command that is named no other is imported."""
    arguments = expand_aliases(sys.argv[1:])
    load_commands(arguments[:1] if set(arguments[:1]) & set(COMMANDS) else COMMANDS)
    run_app(app, arguments)


def load_commands(names: "list[str] | tuple[str, ...]" = COMMANDS) -> None:
    """Import commands, each of which adds itself to the app."""
    for name in names:
        importlib.import_module(f"svc.cli.{MODULES.get(name, name)}")
    for command in app.registered_commands:
        command.cls = Command
    app.registered_commands.sort(key=lambda command: COMMANDS.index(getattr(command.callback, "__name__", "")))
