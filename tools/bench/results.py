"""The page: what was measured, on what, by which command."""

import datetime
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from svc.errors import DataError
from svc.evaluation.report import Table
from svc.utils.atomic import write_bytes

INTRO = (
    "Written by `tools/bench`. All contestants ran in one process, one after the other, round after round ({rounds}); "
    "RTF is the median number of seconds of computing for a second of audio, and a ratio is the median of the rounds' "
    "own ratios. Compare what stands in one table; a machine that has other work to do measures nothing."
)


def page(
    arguments: Sequence[str],
    rounds: str,
    about: Mapping[str, str],
    tables: Mapping[str, tuple[str, Table]],
    notes: Sequence[str],
) -> str:
    """Markdown.

    Args:
        arguments: of the command line.
        rounds: how many, in words.
        about: the machine and the versions.
        tables: text and table by heading.
        notes: sentences about what is missing.
    """
    command = shlex.join(["python", "tools/bench", *map(_private, arguments)])
    lines = ["# How fast", "", INTRO.format(rounds=rounds), ""]
    lines += [f"`{command}`, {datetime.date.today().isoformat()}", ""]
    lines += [Table(["", ""], list(about.items())).markdown(), ""]
    for heading, (text, table) in tables.items():
        lines += [f"## {heading}", "", text, "", table.markdown(), ""]
    lines += [f"- {note}" for note in notes]
    return "\n".join(lines).rstrip() + "\n"


def write(path: Path, text: str) -> None:
    """The page into a file, whole or not at all.

    Raises:
        DataError: the folder does not take it.
    """
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose another -o") from None


def _private(argument: str) -> str:
    """Folders of whoever measured are named by their last part."""
    head, equals, tail = argument.rpartition("=")
    return head + equals + Path(tail).name if Path(tail).is_absolute() else argument
