"""``svc export``: from a training run to a voice file."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import Force, app, free, free_voice
from svc.errors import DataError


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
    from svc.training.export import voice_of

    voice = voice_of(run, which, {"licence": licence, "singers": note})
    if onnx is not None:
        from svc.inference.onnx import save

        off = save(voice, onnx)
        typer.echo(f"{onnx}: {onnx.stat().st_size / 1e6:.1f} MB, tried in ONNX Runtime: {off:.0f} dB off PyTorch")
    voice.save(out)
    typer.echo(f"{out}: {len(voice.singers)} singers, {out.stat().st_size / 1e6:.1f} MB; {voice.card['made']}")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.singers[0].name!r} SONG.wav")
