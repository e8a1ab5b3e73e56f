"""``svc prepare``: from recordings to a prepared folder."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import Overrides, app, check_device
from svc.errors import DataError


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(help="folder with one folder of recordings for each singer")],
    out: Annotated[Path, typer.Option("-o", "--out", help="prepared folder")],
    config: Annotated[Path | None, typer.Option("-c", "--config", help="YAML, as configs/base.yaml")] = None,
    overrides: Overrides = None,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, help="processes; one a core by default, one if launched")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one, with one process on each")] = "cpu",
) -> None:
    """Check, resample and analyse a folder of singers: DATA/<singer>/**/*, any names, any formats.

    On several GPUs or machines: accelerate launch -m svc prepare DATA -o OUT --device cuda
    """
    from svc.config import load, parse_overrides
    from svc.data import prepare as preparing
    from svc.utils.distributed import crew

    main = crew().main  # joined before anything can go wrong: who does not come would be waited for
    knobs = load(config, parse_overrides(overrides or []))
    if device != "cpu" and jobs not in (None, 1):
        raise DataError(f"--jobs {jobs}: with --device {device} one process does it all; leave --jobs out")
    check_device(device)
    summary = preparing.prepare(data, out, knobs, jobs, device)
    if not main:
        return
    for singer in summary.singers:
        files = [clip for clip in summary.clips if clip.singer == singer.name]
        held = sum(clip.split == "valid" for clip in files)
        pitch = f"{singer.low_f0:.0f}–{singer.high_f0:.0f} Hz" if singer.median_f0 else "no pitch found"
        minutes = f"{singer.seconds / 60:.1f} min" if singer.seconds >= 120 else f"{singer.seconds:.0f} s"
        typer.echo(f"  {singer.name}: {len(files)} files, {minutes}, {pitch}, {held} held out")
        if singer.seconds < 60:
            typer.echo(f"  {singer.name}: less than a minute; expect a poor likeness")
    for row in summary.rejected:
        typer.echo(f"  rejected {row['reason']}")
    if summary.rejected:
        typer.echo(f"rejected: {len(summary.rejected)}, listed in {out / 'rejected.jsonl'}")
    typer.echo(f"{len(summary.clips)} files of {len(summary.singers)} singers are ready in {out}")
    typer.echo(f"next: accelerate launch recipes/train.py {config or 'configs/base.yaml'} {out} -o runs/NAME")
