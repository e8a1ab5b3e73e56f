"""``svc export``: a voice file from a training run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import NOT_STATED, Force, Licence, Note, app, check_output, check_voice_output
from svc.errors import DataError

if TYPE_CHECKING:
    from svc.inference.voice import VoiceFile


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    out: Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")],
    checkpoint: Annotated[str, typer.Option(help="last, or best by the validation scores")] = "last",
    licence: Licence = NOT_STATED,
    prepared: Annotated[
        Path | None, typer.Option(help="prepared folder of the run, if it was trained before voices knew their data")
    ] = None,
    note: Note = NOT_STATED,
    onnx: Annotated[Path | None, typer.Option(help="also write the generator for ONNX Runtime, NAME.onnx")] = None,
    force: Force = False,
) -> None:
    """Make one file to share, a voice, from a training run."""
    from svc.features.training_data import check_licence

    if checkpoint not in {"last", "best"}:
        raise DataError(f"--checkpoint {checkpoint}: give last or best")
    check_voice_output(out, force)
    if onnx is not None:
        from svc.utils.optional import check_installed

        check_output(onnx, force)
        check_installed("onnxruntime", "onnx")
        if onnx.absolute() == out.absolute():
            raise DataError(f"--onnx {onnx}: is also the voice file; give another name")
    voice = export_run(run, checkpoint, {"licence": licence, "speakers": note}, prepared)
    check_licence(licence, voice.training_data)
    if onnx is not None:
        from svc.inference.onnx import save_onnx

        error_db = save_onnx(voice, onnx)
        typer.echo(f"{onnx}: {onnx.stat().st_size / 1e6:.1f} MB; ONNX Runtime differs by {error_db:.0f} dB of the peak")
    voice.save(out)
    typer.echo(f"{out}: {len(voice.speakers)} speakers, {out.stat().st_size / 1e6:.1f} MB; {voice.card['made']}")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.speakers[0].name!r} SONG.wav")


def export_run(run: Path, which: str, card: dict[str, str], prepared: Path | None = None) -> "VoiceFile":
    """The voice of the ``last`` or the ``best`` checkpoint of a run.

    Args:
        run: folder of the run.
        which: checkpoint.
        card: free text by headings.
        prepared: folder of the clips, for a run that did not record them.

    Raises:
        TrainingError: there is no such checkpoint, or it is of another version of svc.
        DataError: the prepared folder is not one, or is of other speakers.
    """
    from svc.data import manifest
    from svc.data.provenance import training_data
    from svc.features.training_data import TrainingData
    from svc.inference.export import export_voice
    from svc.training import checkpoint

    loaded = checkpoint.load_named(run, which)
    data = TrainingData.from_tree(loaded.meta.get("training_data") or TrainingData().to_tree())
    if prepared is not None:
        clips = manifest.read(prepared)
        if [speaker.name for speaker in clips.speakers] != [row["name"] for row in loaded.meta["speakers"]]:
            raise DataError(f"{prepared}: has other speakers than {run}; give the folder that it was trained on")
        initial = TrainingData.from_tree(loaded.meta.get("initial_data") or TrainingData().to_tree())
        data = training_data(clips.clips) | initial
    return export_voice(loaded.folder, loaded.step, loaded.meta, checkpoint.ema_weights(loaded), card, data)
