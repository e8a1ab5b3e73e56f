"""The results page in Markdown."""

import datetime
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from svc.errors import DataError
from svc.evaluation.page import Table
from svc.utils.atomic import write_bytes

INTRO = (
    "Written by `tools/bench`. Everything ran in one process, interleaved, round after round ({rounds}). RTF is the "
    "median number of seconds of computing per second of audio; a ratio is the median of the ratios of the rounds. "
    "Compare only within one table, measured on an idle machine."
)


def page(
    arguments: Sequence[str],
    rounds: str,
    about: Mapping[str, str],
    tables: Mapping[str, tuple[str, Table]],
) -> str:
    """Markdown.

    Args:
        arguments: of the command line.
        rounds: their number, in words.
        about: the machine and the versions.
        tables: text and table by heading.
    """
    command = shlex.join(["python", "tools/bench", *map(_private, arguments)])
    lines = ["# How fast", "", INTRO.format(rounds=rounds), ""]
    lines += [f"`{command}`, {datetime.date.today().isoformat()}", ""]
    lines += [Table(["", ""], list(about.items())).markdown(), ""]
    for heading, (text, table) in tables.items():
        lines += [f"## {heading}", "", text, "", table.markdown(), ""]
    return "\n".join(lines).rstrip() + "\n"


def write(path: Path, text: str) -> None:
    """Write the page atomically.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose another -o") from None


def _private(argument: str) -> str:
    """The last part of an absolute path only."""
    head, equals, tail = argument.rpartition("=")
    return head + equals + Path(tail).name if Path(tail).is_absolute() else argument
