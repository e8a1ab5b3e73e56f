"""Batch conversion of a folder or of several songs; run it again to continue after an interruption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from svc.audio.find import find_audio
from svc.errors import DataError, SvcError, printable

if TYPE_CHECKING:  # needs torch
    from svc.inference.converter import ConversionOptions, Converter


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Result for one file."""

    source: Path  # the file
    target: Path  # its conversion
    status: Literal["converted", "skipped", "failed"]  # ``skipped`` where the target existed before
    message: str = ""  # details, or the reason of a failure


def list_jobs(folder: Path, out: Path, suffix: str) -> list[tuple[Path, Path]]:
    """All audio files below a folder, each with its target at the same place below another.

    Raises:
        DataError: there are no files, two have the same target, or a target is one of the files.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{out}: lies inside {folder}, so its files would be converted too; choose another -o")
    jobs = [(source, out / source.relative_to(folder).with_suffix(suffix)) for source in find_audio(folder)]
    if not jobs:
        raise DataError(f"{folder}: holds no audio files; name a folder of recordings")
    return check_jobs(jobs)


def check_jobs(jobs: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Sources and targets, if every target is one of its own and no source.

    Raises:
        DataError: two have the same target, or a target is one of the sources.
    """
    sources = {source.resolve() for source, _ in jobs}
    for _, target in jobs:
        if target.resolve() in sources:
            raise DataError(f"{target}: is one of the songs and the target of another; choose another -o")
    target, count = Counter(target for _, target in jobs).most_common(1)[0]
    if count > 1:
        raise DataError(f"{target}: {count} songs would get this name; rename them")
    return jobs


def convert_all(
    converter: Converter, jobs: Sequence[tuple[Path, Path]], options: ConversionOptions, *, overwrite: bool = False
) -> Iterator[BatchResult]:
    """Convert files one after the other; a bad file is reported and the rest goes on.

    A target that exists is skipped: targets appear whole or not at all, so the same call continues after an
    interruption. It does not compare the options of earlier conversions; ``overwrite`` removes these first.

    Raises:
        DataError: the folder cannot be written.
    """
    options = replace(options, speaker=converter.parse_speaker(options.speaker))
    for _, target in jobs if overwrite else ():
        target.unlink(missing_ok=True)
    for source, target in jobs:
        if target.exists():
            yield BatchResult(source, target, "skipped")
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            report = converter.convert_file(source, target, options)
            message = f"{report.seconds:.1f} s, {report.transpose:+g} semitones"
            message = ", ".join((message, *report.notes))
            yield BatchResult(source, target, "converted", message)
        except SvcError as error:
            yield BatchResult(source, target, "failed", printable(str(error)))
        except OSError as error:
            raise DataError(f"{target}: cannot be written ({error.strerror}); choose another -o") from None
