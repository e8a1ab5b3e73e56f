"""``svc prepare``: prepare recordings for training."""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import Overrides, app, check_device
from svc.errors import DataError

if TYPE_CHECKING:
    from svc.data.manifest import Clip
    from svc.data.prepare import Summary
    from svc.features.speaker import Speaker

SHORT_LIST = 5  # speakers that are named
HEAD = ("speaker", "minutes", "song", "speech", "pitch", "band", "train", "valid", "test")


@app.command()
def prepare(
    data: Annotated[
        list[Path], typer.Argument(help="corpora, folders with a folder for each speaker, or folders of one speaker")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="prepared folder")],
    config: Annotated[
        Path | None, typer.Option("-c", "--config", help="YAML file, or base, 24k, demo, paper, pretrain")
    ] = None,
    overrides: Overrides = None,
    corpus: Annotated[
        str | None, typer.Option(help="corpus in all of DATA, or folder; by the layout of each if not given")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="licence of recordings whose corpus gives none")] = None,
    group_regex: Annotated[
        str | None,
        typer.Option(help="in plain folders: regular expression whose first group names the song in SPEAKER/FILE"),
    ] = None,
    valid: Annotated[float, typer.Option(help="share of songs for validation")] = 0.1,
    test: Annotated[float, typer.Option(help="share of songs for testing, which training never uses")] = 0.1,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="processes; one for each core by default, one if launched")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one, with one process on each")] = "cpu",
) -> None:
    """Check recordings, resample them and extract features.

    Takes corpora, or DATA/<speaker>/**/*, any names, any formats.

    The split is by song or sentence; a folder without songs is split by file.
    On several GPUs or machines: accelerate launch -m svc prepare DATA -o OUT --device cuda
    """
    from svc.config import load, parse_overrides
    from svc.data import overview
    from svc.data import prepare as preparation
    from svc.utils.distributed import process_group

    main = process_group().main  # before any error: the others would wait for a process that does not join
    options = load(config, parse_overrides(overrides or []))
    if device != "cpu" and jobs not in (None, 1):
        raise DataError(f"--jobs {jobs}: with --device {device} one process does it all; leave --jobs out")
    check_device(device)
    summary = preparation.prepare(
        data,
        out,
        options,
        jobs,
        device,
        corpus=corpus,
        licence=licence,
        group_regex=group_regex,
        valid=valid,
        test=test,
    )
    if main:
        print_summary(summary, out)
        if summary.clips:
            typer.echo(f"durations, ranges, levels: {overview.write(out, summary.clips, summary.speakers)}")
        typer.echo(f"next: svc train {out}{f' -c {config}' if config else ''} -o runs/NAME")


def print_summary(summary: "Summary", out: Path) -> None:
    """Table of the speakers, notes and the rejected files."""
    from svc.data.manifest import by_speaker

    clips = by_speaker(summary.clips)
    table = [HEAD, *(_row(speaker, clips[speaker.name]) for speaker in summary.speakers)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD))]
    for line in table:
        typer.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    short = [speaker.name for speaker in summary.speakers if _minutes(clips[speaker.name]) < 1]
    if short:
        names = ", ".join(short[:SHORT_LIST]) + (f" and {len(short) - SHORT_LIST} more" if short[SHORT_LIST:] else "")
        typer.echo(f"  less than a minute, so expect a low similarity: {names}")
    for note in summary.notes:
        typer.echo(f"  {note}")
    for row in summary.rejected:
        typer.echo(f"  rejected {row['reason']}")
    if summary.rejected:
        typer.echo(f"rejected: {len(summary.rejected)}, listed in {out / 'rejected.jsonl'}")
    typer.echo(f"{len(summary.clips)} clips of {len(summary.speakers)} speakers are ready in {out}")


def _minutes(clips: "Sequence[Clip]", *kinds: str) -> float:
    """Of some kinds, or of all clips."""
    return sum(clip.frames for clip in clips if not kinds or clip.kind in kinds) / 6000


def _row(speaker: "Speaker", clips: "Sequence[Clip]") -> tuple[str, ...]:
    bands = [clip.band for clip in clips if clip.band]
    sides = Counter(clip.split for clip in clips)
    return (
        speaker.name,
        *(f"{_minutes(clips, *kind):.1f}" for kind in ((), ("song",), ("speech",))),
        f"{speaker.low_f0:.0f}–{speaker.high_f0:.0f} Hz" if speaker.median_f0 else "no pitch found",
        f"{statistics.median(bands) / 1000:.1f} kHz" if bands else "–",
        *(str(sides[side]) for side in ("train", "valid", "test")),
    )
