"""``svc export``: a voice file from a training run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import Force, app, check_output, check_voice_output
from svc.errors import DataError

if TYPE_CHECKING:
    from svc.inference.voice import VoiceFile


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    out: Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")],
    checkpoint: Annotated[str, typer.Option(help="last, or best by the validation scores")] = "last",
    licence: Annotated[str, typer.Option(help="of the voice, for its card")] = "not stated",
    note: Annotated[str, typer.Option(help="for the card: whose voices, with whose consent")] = "not stated",
    onnx: Annotated[Path | None, typer.Option(help="also write the generator for ONNX Runtime, NAME.onnx")] = None,
    force: Force = False,
) -> None:
    """Make one file to share, a voice, from a training run."""
    if checkpoint not in {"last", "best"}:
        raise DataError(f"--checkpoint {checkpoint}: give last or best")
    check_voice_output(out, force)
    if onnx is not None:
        check_output(onnx, force)
        if onnx.absolute() == out.absolute():
            raise DataError(f"--onnx {onnx}: is also the voice file; give another name")
    voice = export_run(run, checkpoint, {"licence": licence, "speakers": note})
    if onnx is not None:
        from svc.inference.onnx import save_onnx

        error_db = save_onnx(voice, onnx)
        typer.echo(f"{onnx}: {onnx.stat().st_size / 1e6:.1f} MB; ONNX Runtime differs by {error_db:.0f} dB of the peak")
    voice.save(out)
    typer.echo(f"{out}: {len(voice.speakers)} speakers, {out.stat().st_size / 1e6:.1f} MB; {voice.card['made']}")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.speakers[0].name!r} SONG.wav")


def export_run(run: Path, which: str, card: dict[str, str]) -> "VoiceFile":
    """The voice of the ``last`` or the ``best`` checkpoint of a run.

    Raises:
        TrainingError: there is no such checkpoint, or it is of another version of svc.
    """
    from svc.inference.export import export_voice
    from svc.training import checkpoint

    loaded = checkpoint.load_named(run, which)
    return export_voice(loaded.folder, loaded.step, loaded.meta, checkpoint.ema_weights(loaded), card)
