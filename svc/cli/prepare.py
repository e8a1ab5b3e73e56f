"""``svc prepare``: prepare recordings for training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import Overrides, app, check_device
from svc.errors import DataError

if TYPE_CHECKING:
    from svc.data.prepare import Summary


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(help="folder with one folder of recordings for each speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="prepared folder")],
    config: Annotated[Path | None, typer.Option("-c", "--config", help="YAML file, or base, demo or paper")] = None,
    overrides: Overrides = None,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="processes; one for each core by default, one if launched")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one, with one process on each")] = "cpu",
) -> None:
    """Check recordings, resample them and extract features: DATA/<speaker>/**/*, any names, any formats.

    On several GPUs or machines: accelerate launch -m svc prepare DATA -o OUT --device cuda
    """
    from svc.config import load, parse_overrides
    from svc.data import prepare as preparation
    from svc.utils.distributed import process_group

    main = process_group().main  # before any error: the others would wait for a process that does not join
    options = load(config, parse_overrides(overrides or []))
    if device != "cpu" and jobs not in (None, 1):
        raise DataError(f"--jobs {jobs}: with --device {device} one process does it all; leave --jobs out")
    check_device(device)
    summary = preparation.prepare(data, out, options, jobs, device)
    if main:
        print_summary(summary, out)
        typer.echo(f"next: svc train {out}{f' -c {config}' if config else ''} -o runs/NAME")


def print_summary(summary: "Summary", out: Path) -> None:
    """One line for each speaker, and the rejected files."""
    for speaker in summary.speakers:
        clips = [clip for clip in summary.clips if clip.speaker == speaker.name]
        held_out = sum(clip.split == "valid" for clip in clips)
        pitch = f"{speaker.low_f0:.0f}–{speaker.high_f0:.0f} Hz" if speaker.median_f0 else "no pitch found"
        minutes = f"{speaker.seconds / 60:.1f} min" if speaker.seconds >= 120 else f"{speaker.seconds:.0f} s"
        typer.echo(f"  {speaker.name}: {len(clips)} clips, {minutes}, {pitch}, {held_out} held out")
        if speaker.seconds < 60:
            typer.echo(f"  {speaker.name}: less than a minute; expect a low similarity")
    for row in summary.rejected:
        typer.echo(f"  rejected {row['reason']}")
    if summary.rejected:
        typer.echo(f"rejected: {len(summary.rejected)}, listed in {out / 'rejected.jsonl'}")
    typer.echo(f"{len(summary.clips)} clips of {len(summary.speakers)} speakers are ready in {out}")
