"""How many seconds of speech a new singer needs: ``python recipes/fit_curve.py VOICE LAYOUT --singer actor13 -o OUT``.

LAYOUT is made by recipes/evaluate_ravdess.py of all actors. Each singer is fitted into the voice from so many seconds
of speech, the songs of the others are converted to them, and judged against their own renditions; singers are known by
speech.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli

if TYPE_CHECKING:
    from svc.adaptation.pipeline import Wish
    from svc.evaluation.metrics.table import Row
    from svc.inference.voice import Voice

PICTURE, SCORES = "fit_curve.png", "fit_curve.json"
SHOWN = {"named_target": "named as the target", "cosine": "cosine to the target", "mcd": "MCD to the truth, dB"}


def main(
    voice: Annotated[Path, typer.Argument(help="voice that does not know the singers")],
    layout: Annotated[Path, typer.Argument(help="folder made by recipes/evaluate_ravdess.py")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for voices, reports and the picture")],
    singer: Annotated[list[str], typer.Option(help="to be fitted; repeatable")],
    seconds: Annotated[list[float], typer.Option(help="of speech; repeatable")] = [10.0, 30.0, 60.0, 180.0],  # noqa: B006
    songs: Annotated[Path | None, typer.Option(help="songs to convert, LAYOUT/songs if not given")] = None,
    full: Annotated[bool, typer.Option("--full", help="train the voice as well for each, as `svc fit --full`")] = False,
) -> None:
    """Fit, convert and judge for every length of speech, and draw the curve; what is there is not made again."""
    import json

    from svc.adaptation.pipeline import Wish
    from svc.inference.voice import Voice
    from svc.utils.atomic import write_bytes

    known, rows, seconds = Voice.load(voice), [], sorted(seconds)
    for name in singer:
        for length in seconds:
            place = out / f"{name}_{length:g}{'_full' if full else ''}"
            if not (place / "voice.safetensors").exists():
                wish = Wish(name, "speech", full)
                if not fitted(known, layout / "by_speech" / name, wish, length, place):
                    typer.echo("next: the same command again, to go on")
                    return
            if not (place / "rows.json").exists():
                found = judged(place, name, layout, songs or layout / "songs")
                write_bytes(place / "rows.json", json.dumps(found).encode())
            rows += [{**row, "seconds": length} for row in json.loads((place / "rows.json").read_text())]
    told = {
        f"{system} {length:g}": means(rows, system, length)
        for system in ("voice", "copied", "truth")
        for length in seconds
    }
    write_bytes(out / SCORES, json.dumps(told, indent=1).encode())
    draw(told, seconds, out / PICTURE)
    for name, scores in told.items():
        typer.echo(f"{name} s: " + ", ".join(f"{title} {scores[key]:.3f}" for key, title in SHOWN.items()))
    typer.echo(f"next: look at {out / PICTURE}, listen in {out}/*/converted")


def fitted(voice: "Voice", clips: Path, wish: "Wish", seconds: float, out: Path) -> bool:
    """Fit a singer from the first so many seconds of clips, in a fixed order; whether it came to the end."""
    import numpy as np

    from svc.adaptation import pipeline
    from svc.audio.files import read

    (out / "clips").mkdir(parents=True, exist_ok=True)
    found, heard = sorted(clips.iterdir()), 0.0
    for number in np.random.default_rng(0).permutation(len(found)):
        if heard < seconds:
            shutil.copy(found[number], out / "clips")
            heard += read(found[number]).seconds
    pipeline.prepare(voice, out / "clips", wish, out / "fit")
    joined = pipeline.join(voice, wish, out / "fit", cpu=True)
    if joined.outcome.interrupted:
        return False
    joined.voice.save(out / "voice.safetensors")
    return True


def judged(out: Path, name: str, layout: Path, songs: Path) -> "list[Row]":
    """What the judges say of the others' songs as sung by a fitted singer."""
    from svc.evaluation.evaluator import Judges
    from svc.evaluation.run import Request, evaluate
    from svc.inference.converter import Converter
    from svc.inference.voice import Voice

    request = Request(
        sources=songs,
        references=layout / "by_speech",
        parallel=layout / "truths",
        out=out,
        speakers=(name,),
        judges=Judges(words="mfcc"),
    )
    return evaluate(request, Converter(Voice.load(out / "voice.safetensors"))).scored.rows


def means(rows: "list[Row]", system: str, seconds: float) -> dict[str, float]:
    """Every score of a system at a length of speech, over all songs and singers."""
    from svc.evaluation.metrics.table import MEASURES, mean

    own = [row for row in rows if row["system"] == system and row["seconds"] == seconds]
    return {measure.key: mean(own, measure.key) for measure in MEASURES}


def draw(told: dict[str, dict[str, float]], seconds: list[float], path: Path) -> None:
    """The curves of what is shown, between the source copied and the singers' own renditions."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from svc.utils.atomic import write_bytes

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (key, title) in zip(figure.subplots(1, len(SHOWN)), SHOWN.items(), strict=True):
        for system, label, style in (
            ("truth", "their own song", ":"),
            ("voice", "fitted", "o-"),
            ("copied", "source", "--"),
        ):
            axes.plot(seconds, [told[f"{system} {length:g}"][key] for length in seconds], style, label=label)
        axes.set(xscale="log", xlabel="seconds of speech", title=title, xticks=seconds)
        axes.set_xticklabels([f"{length:g}" for length in seconds])
        axes.minorticks_off()
    figure.axes[0].legend()
    image = BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_bytes(path, image.getvalue())


if __name__ == "__main__":
    cli.run(main)
