"""Commands from recordings to a voice: ``prepare``, ``export``."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.program import Force, Overrides, app, check_device, free, free_voice
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
    from svc.data.processes import crew

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


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    out: Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")],
    which: Annotated[str, typer.Option(help="checkpoint: last, or best by the judges of its phrases")] = "last",
    licence: Annotated[str, typer.Option(help="of the voice, for its card")] = "not stated",
    note: Annotated[str, typer.Option(help="for its card: whose voices, with whose consent")] = "not stated",
    onnx: Annotated[Path | None, typer.Option(help="write its generator for ONNX Runtime as well, NAME.onnx")] = None,
    force: Force = False,
) -> None:
    """Make one file to share, a voice, from a training run."""
    if which not in {"last", "best"}:
        raise DataError(f"--which {which}: give last or best")
    free_voice(out, force)
    if onnx is not None:
        free(onnx, force)
        if onnx.absolute() == out.absolute():
            raise DataError(f"--onnx {onnx}: is the voice file, too; give another name")
    from svc.export import voice_of

    voice = voice_of(run, which, {"licence": licence, "singers": note})
    if onnx is not None:
        from svc.onnx import save

        off = save(voice, onnx)
        typer.echo(f"{onnx}: {onnx.stat().st_size / 1e6:.1f} MB, tried in ONNX Runtime: {off:.0f} dB off PyTorch")
    voice.save(out)
    typer.echo(f"{out}: {len(voice.singers)} singers, {out.stat().st_size / 1e6:.1f} MB; {voice.card['made']}")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.singers[0].name!r} SONG.wav")
