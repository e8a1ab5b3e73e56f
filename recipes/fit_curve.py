"""Quality of adaptation by seconds of speech: ``python recipes/fit_curve.py VOICE RAVDESS --name actor13 -o OUT``.

As the protocol one-minute of `svc evaluate`, but each new speaker is adapted from so many seconds of speech; songs that
the voice was not trained on are converted to them and compared with their own performances.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli

if TYPE_CHECKING:
    from svc.adaptation.pipeline import AdaptOptions
    from svc.evaluation.metrics.table import Row
    from svc.evaluation.run import EvaluationRequest
    from svc.inference.voice import VoiceFile

PICTURE, SCORES = "fit_curve.png", "fit_curve.json"
PLOTTED = {"named_target": "identified as target", "cosine": "cosine to the target", "mcd": "MCD to the truth, dB"}


def main(
    voice: Annotated[Path, typer.Argument(help="voice without these speakers")],
    corpus: Annotated[Path, typer.Argument(help="corpus with songs and speech, such as RAVDESS")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for voices, reports and the plot")],
    name: Annotated[list[str], typer.Option(help="speaker to adapt to; repeatable")],
    seconds: Annotated[list[float], typer.Option(help="seconds of speech; repeatable")] = [10.0, 30.0, 60.0, 180.0],  # noqa: B006
    full: Annotated[
        bool, typer.Option("--finetune-model", help="also train the generator, as `svc fit --finetune-model`")
    ] = False,
) -> None:
    """Adapt, convert and evaluate for every length of speech, and plot the curve; existing results are reused."""
    import json

    from svc.adaptation.pipeline import AdaptOptions
    from svc.data import corpora
    from svc.evaluation.protocols import arrange
    from svc.evaluation.run import EvaluationRequest
    from svc.inference.voice import VoiceFile
    from svc.utils.atomic import write_bytes

    base, rows, seconds = VoiceFile.load(voice), [], sorted(seconds)
    request = EvaluationRequest(sources=corpus, out=out)
    request = arrange("one-minute", request, [speaker.name for speaker in base.speakers], base.training_data)
    recordings = corpora.find(corpus)
    for speaker in name:
        clips = [one.path for one in recordings if one.speaker == speaker and one.kind == "speech"]
        for length in seconds:
            place = out / f"{speaker}_{length:g}{'_full' if full else ''}"
            if not (place / "voice.safetensors").exists():
                options = AdaptOptions(speaker, "speech", full)
                if not adapt_from(base, clips, options, length, place):
                    typer.echo("next: the same command again, to go on")
                    return
            if not (place / "rows.json").exists():
                scores = evaluate_speaker(replace(request, out=place, speakers=(speaker,)))
                write_bytes(place / "rows.json", json.dumps(scores).encode())
            rows += [{**row, "seconds": length} for row in json.loads((place / "rows.json").read_text())]
    curves = {
        f"{system} {length:g}": means(rows, system, length)
        for system in ("voice", "copied", "truth")
        for length in seconds
    }
    write_bytes(out / SCORES, json.dumps(curves, indent=1).encode())
    plot(curves, seconds, out / PICTURE)
    for label, means_of in curves.items():
        typer.echo(f"{label} s: " + ", ".join(f"{title} {means_of[key]:.3f}" for key, title in PLOTTED.items()))
    typer.echo(f"next: open {out / PICTURE}, listen in {out}/*/converted")


def adapt_from(voice: "VoiceFile", clips: list[Path], options: "AdaptOptions", seconds: float, out: Path) -> bool:
    """Adapt to the first so many seconds of clips, in a fixed order; False if interrupted."""
    import numpy as np

    from svc.adaptation.pipeline import adapt
    from svc.audio.files import read

    (out / "clips").mkdir(parents=True, exist_ok=True)
    copied = 0.0
    for number in np.random.default_rng(0).permutation(len(clips)):
        if copied < seconds:
            shutil.copy(clips[number], out / "clips")
            copied += read(clips[number]).seconds
    result = adapt(voice, out / "clips", options, out / "fit", cpu=True)
    if result.outcome.interrupted:
        return False
    result.voice.save(out / "voice.safetensors")
    return True


def evaluate_speaker(request: "EvaluationRequest") -> "list[Row]":
    """Rows of the songs converted to an adapted speaker by the voice in the output folder."""
    from svc.evaluation.run import evaluate
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile

    return evaluate(request, Converter(VoiceFile.load(request.out / "voice.safetensors"))).scores.rows


def means(rows: "list[Row]", system: str, seconds: float) -> dict[str, float]:
    """Mean scores of a system at a length of speech, over all songs and speakers."""
    from svc.evaluation.metrics.table import MEASURES, mean

    own = [row for row in rows if row["system"] == system and row["seconds"] == seconds]
    return {measure.key: mean(own, measure.key) for measure in MEASURES}


def plot(curves: dict[str, dict[str, float]], seconds: list[float], path: Path) -> None:
    """Plot the scores over seconds of speech, with those of the source and of the truth."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from svc.utils.atomic import write_bytes

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (key, title) in zip(figure.subplots(1, len(PLOTTED)), PLOTTED.items(), strict=True):
        for system, label, style in (
            ("truth", "truth", ":"),
            ("voice", "adapted", "o-"),
            ("copied", "source", "--"),
        ):
            axes.plot(seconds, [curves[f"{system} {length:g}"][key] for length in seconds], style, label=label)
        axes.set(xscale="log", xlabel="seconds of speech", title=title, xticks=seconds)
        axes.set_xticklabels([f"{length:g}" for length in seconds])
        axes.minorticks_off()
    figure.axes[0].legend()
    image = BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_bytes(path, image.getvalue())


if __name__ == "__main__":
    cli.run(main)
