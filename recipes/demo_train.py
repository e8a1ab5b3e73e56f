"""Demo on four synthetic singers: synthesise, prepare, train, convert, evaluate against the truth, report."""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from svc import cli
from svc.errors import DataError, SvcError

if TYPE_CHECKING:  # torch is imported inside the functions, so that --help answers at once
    from svc.config import Config
    from svc.evaluation.metrics.table import Row
    from svc.evaluation.page import Table
    from svc.inference.converter import Converter

HELD_OUT = 9_000  # seed of the first test phrase
PHRASES = 24  # training phrases of each singer, 4 to 5 s each
MARKER = ".made-by-demo"  # in a folder that the demo may delete
SECONDS = "seconds.json"  # of computing, summed over interrupted runs


def main(
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the demo; training there is resumed")] = Path(
        "runs/demo-train"
    ),
    config: Annotated[Path, typer.Option("-c", "--config", help="YAML of options")] = Path("demo"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value")] = None,
    phrases: Annotated[int, typer.Option(min=1, help="training phrases of each singer")] = PHRASES,
) -> None:
    """Train on four synthetic singers, convert between them, and evaluate against the truth."""
    from svc.cli.export import export_run
    from svc.config import load, parse_overrides

    trained = train(out, load(config, parse_overrides(overrides or [])), phrases)
    if trained is None:
        typer.echo("next: run the same command again to go on")
        return
    started = time.perf_counter()
    voice = export_run(out, "last", {"licence": "CC0: the singers are synthetic", "people": "none"})
    voice.save(out / "voice.safetensors")
    rows = evaluate_voice(out)
    seconds = trained + time.perf_counter() - started
    typer.echo(tabulate(rows).markdown())
    typer.echo(summarise(rows))
    typer.echo(f"{seconds:.0f} s in all; report: {out}/evaluation/report.html")
    typer.echo(
        f"next: svc convert --voice {out}/voice.safetensors --speaker bass SONG.wav; your own speakers: README.md"
    )


def train(out: Path, config: "Config", phrases: int) -> float | None:
    """Synthesise, prepare and train; returns the seconds spent so far, or None if interrupted.

    A finished run is only checked for this config and these singers.

    Raises:
        DataError: the folder holds files of somebody else.
        TrainingError: the run has another config or other singers.
    """
    from svc.data import manifest, prepare
    from svc.training import checkpoint, loop

    newest = checkpoint.newest(out)
    finished = newest is not None and newest.step >= config.train.steps
    with contextlib.nullcontext() if finished else add_seconds(out / SECONDS):
        synthesise(out, phrases)
        prepare.prepare(out / "singers", out / "prepared", config)
        outcome = loop.train(manifest.read(out / "prepared"), out, config, cpu=True)
    return None if outcome.interrupted else read_seconds(out / SECONDS)


def synthesise(out: Path, phrases: int) -> None:
    """Write the singers; refuse a folder that the demo did not create.

    Raises:
        DataError: the folder holds files of somebody else, or cannot be created.
    """
    from svc.data.synthetic import singers as synthetic

    folder = out / "singers"
    if not (folder / MARKER).is_file():
        for place in (folder, out / "prepared", out / "checkpoints", out / "voice.safetensors"):
            if place.exists():
                raise DataError(f"{place}: not created by the demo; move it away or choose another -o")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / MARKER).touch()
    except OSError as error:
        raise DataError(f"{folder}: cannot be created ({error.strerror}); choose another -o") from None
    synthetic.write_singers(folder, phrases)


@contextlib.contextmanager
def add_seconds(path: Path) -> Iterator[None]:
    """Add the seconds spent inside to a file, also when interrupted, but not after an error."""
    from svc.utils import atomic

    before, started, valid = read_seconds(path), time.perf_counter(), True
    try:
        yield
    except SvcError:
        valid = False
        raise
    finally:
        if valid and path.parent.is_dir():
            text = json.dumps({"seconds": before + time.perf_counter() - started})
            atomic.write_bytes(path, text.encode())


def read_seconds(path: Path) -> float:
    """Seconds so far."""
    return float(json.loads(path.read_text())["seconds"]) if path.exists() else 0.0


def evaluate_voice(out: Path) -> "list[Row]":
    """Convert every singer's test song to every other singer, and evaluate as `svc evaluate` does."""
    from svc.evaluation.evaluator import EvaluatorConfig
    from svc.evaluation.report import write_report
    from svc.evaluation.run import EvaluationRequest, evaluate
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile

    converter = Converter(VoiceFile.load(out / "voice.safetensors"))
    folder = out / "evaluation"
    write_truths(converter, folder)
    request = EvaluationRequest(
        sources=folder / "songs",
        enrolment=out / "singers",
        parallel=folder / "truths",
        out=folder,
        metrics=EvaluatorConfig(speaker_encoder="cepstral"),
    )
    evaluation = evaluate(request, converter)
    write_report(evaluation, request, "Four synthetic singers", num_examples=len(evaluation.scores.pairs))
    plot_example(folder, out / "conversion.png")
    return evaluation.scores.rows


def plot_example(folder: Path, path: Path) -> None:
    """Plot the alto's song, its conversion to the bass, the bass's own performance, and its reconstruction."""
    from svc.audio.files import read
    from svc.evaluation.metrics.f0 import praat
    from svc.evaluation.page import AudioExample, Section, plot_section
    from svc.utils import atomic

    files = {
        "source: alto": "songs/alto/alto.wav",
        "output: alto as bass": "converted/bass/alto/alto.wav",
        "truth: bass": "truths/bass/alto.wav",
        "reconstructed truth": "truths/bass/alto.reconstructed.wav",
    }
    recordings = {title: read(folder / name) for title, name in files.items()}
    examples = [AudioExample(title, audio, praat(audio)) for title, audio in recordings.items()]
    atomic.write_bytes(path, plot_section(Section("", examples)))


def write_truths(converter: "Converter", folder: Path) -> None:
    """Write the test songs, and each target's own performance of them, as it is and reconstructed by the voice."""
    from svc.audio.files import Audio, write
    from svc.data.synthetic.phrases import recorded_phrase
    from svc.data.synthetic.singers import SINGERS, render
    from svc.features.transpose import choose_transposition

    speakers = {speaker.name: speaker for speaker in converter.voice.speakers}
    for number, source in enumerate(SINGERS):
        song = recorded_phrase(HELD_OUT + number)
        performance = render(source, song)
        for target in SINGERS:
            place = folder / "truths" / target.name if target is not source else folder / "songs" / source.name
            place.mkdir(parents=True, exist_ok=True)
            if target is source:
                write(place / f"{source.name}.wav", Audio(performance.samples, performance.rate))
                continue
            semitones = choose_transposition("auto", performance.f0[performance.f0 > 0], speakers[target.name].range)
            target_f0 = performance.f0 * 2 ** (semitones / 12)
            truth = Audio(render(target, song, f0=target_f0).samples, performance.rate)
            write(place / f"{source.name}.wav", truth)
            write(place / f"{source.name}.reconstructed.wav", converter.convert(truth, target.name, transpose=0)[0])


def tabulate(rows: "list[Row]") -> "Table":
    """A line for each conversion, with the distances of its source and of the reconstructed truth."""
    from svc.evaluation.page import Table

    columns = [
        "conversion",
        "source, dB",
        "output",
        "reconstructed truth",
        "gap closed",
        "f0 median, cents",
        "> 50 cents",
    ]
    lines = [
        [
            f"{row['speaker']} → {row['target']}",
            *(f"{distance:.2f}" for distance in distances(rows, row)),
            f"{gap_closed(rows, row):.0%}",
            f"{row['f0_median']:.1f}",
            f"{row['f0_over50']:.1%}",
            "yes" if row["named_target"] else "no",
        ]
        for row in conversions(rows)
    ]
    return Table([*columns, "identified"], lines)


def conversions(rows: "list[Row]") -> "list[Row]":
    """The rows of conversions by the voice."""
    return [row for row in rows if row["system"] == "voice" and row["speaker"] != row["target"]]


def distances(rows: "list[Row]", conversion: "Row") -> list[float]:
    """Mel-cepstral distances to the truth in dB, of the source, of a conversion, and of the reconstructed truth."""
    own = {
        row["system"]: row["mcd"]
        for row in rows
        if all(row[k] == conversion[k] for k in ("song", "target")) and "mcd" in row
    }
    return [own[system] for system in ("copied", "voice", "truth")]


def gap_closed(rows: "list[Row]", conversion: "Row") -> float:
    """Share of the gap between the source and the reconstructed truth."""
    source, output, truth = distances(rows, conversion)
    return (source - output) / (source - truth)


def summarise(rows: "list[Row]") -> str:
    """The means in one sentence."""
    converted = conversions(rows)
    identified = sum(row["named_target"] == 1 for row in converted)
    return (
        f"Mean: {np.mean([gap_closed(rows, row) for row in converted]):.0%} of the gap closed, "
        f"f0 median {np.mean([row['f0_median'] for row in converted]):.1f} cents, "
        f"{np.mean([row['f0_over50'] for row in converted]):.1%} of frames off by > 50 cents, "
        f"{identified} of {len(converted)} identified as the target."
    )


if __name__ == "__main__":
    cli.run(main)
