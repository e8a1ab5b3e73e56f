"""The whole road on four synthetic singers: synthesise, prepare, train, convert, score against the truth, report."""

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
    from svc.evaluation.report import Table
    from svc.inference.converter import Converter

HELD_OUT = 9_000  # seed of the first phrase that nobody trains on
PHRASES = 40  # each singer sings, 4 to 5 s each
MARKER = ".made-by-demo"  # in a folder of singers that may be deleted
SECONDS = "seconds.json"  # of training, summed over interrupted processes


def main(
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the demo; training there is resumed")] = Path(
        "runs/demo"
    ),
    config: Annotated[Path, typer.Option("-c", "--config", help="YAML of knobs")] = Path("configs/demo.yaml"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="knob=value")] = None,
    phrases: Annotated[int, typer.Option(min=1, help="each singer sings to train on")] = PHRASES,
) -> None:
    """Convert between four synthetic singers, after training on them, and score it against the truth."""
    from svc.config import load, parse_overrides
    from svc.training.export import voice_of

    trained = train(out, load(config, parse_overrides(overrides or [])), phrases)
    if trained is None:
        typer.echo("next: run the same command again to go on")
        return
    started = time.perf_counter()
    voice = voice_of(out, "last", {"licence": "CC0: the singers are synthetic", "people": "none"})
    voice.save(out / "voice.safetensors")
    rows = judge(out)
    seconds = trained + time.perf_counter() - started
    typer.echo(tabulate(rows).markdown())
    typer.echo(summarise(rows))
    typer.echo(f"{seconds:.0f} s in all; look and listen: {out}/judged/report.html")
    typer.echo(
        f"next: svc convert --voice {out}/voice.safetensors --speaker bass SONG.wav, or your own singers: README"
    )


def train(out: Path, knobs: "Config", phrases: int) -> float | None:
    """Synthesise, prepare and train; seconds spent by all processes so far, or None if this one was interrupted.

    A run that is finished already is only checked: to have this config and these singers.

    Raises:
        DataError: there are things that the demo did not make.
        TrainingError: the run has another config or other singers.
    """
    from svc.data import manifest, prepare
    from svc.training import checkpoint, loop

    found = checkpoint.newest(out)
    finished = found is not None and found.step >= knobs.train.steps
    with contextlib.nullcontext() if finished else counted(out / SECONDS):
        synthesise(out, phrases)
        prepare.prepare(out / "singers", out / "prepared", knobs)
        outcome = loop.train(manifest.read(out / "prepared"), out, knobs, cpu=True)
    return None if outcome.interrupted else read_seconds(out / SECONDS)


def synthesise(out: Path, phrases: int) -> None:
    """Write the singers anew; nothing is replaced in a folder where the demo never was.

    Raises:
        DataError: there are things that the demo did not make, or the folder cannot be made.
    """
    from svc.data.synthetic import singers as synthetic

    folder = out / "singers"
    if not (folder / MARKER).is_file():
        for place in (folder, out / "prepared", out / "checkpoints", out / "voice.safetensors"):
            if place.exists():
                raise DataError(f"{place}: not made by the demo, so it stays; move it away or choose another -o")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / MARKER).touch()
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror}); choose another -o") from None
    synthetic.write_singers(folder, phrases)


@contextlib.contextmanager
def counted(ledger: Path) -> Iterator[None]:
    """Add the seconds spent inside to those in a file, also if interrupted, but not if refused."""
    from svc.utils import atomic

    before, started, worked = read_seconds(ledger), time.perf_counter(), True
    try:
        yield
    except SvcError:
        worked = False
        raise
    finally:
        if worked and ledger.parent.is_dir():
            text = json.dumps({"seconds": before + time.perf_counter() - started})
            atomic.write_bytes(ledger, text.encode())


def read_seconds(ledger: Path) -> float:
    """What was counted so far."""
    return float(json.loads(ledger.read_text())["seconds"]) if ledger.exists() else 0.0


def judge(out: Path) -> "list[Row]":
    """Every singer's held-out song turned into every other singer, scored as by `svc evaluate`, with its report."""
    from svc.evaluation.evaluator import Judges
    from svc.evaluation.publish import publish
    from svc.evaluation.run import Request, evaluate
    from svc.inference.converter import Converter
    from svc.inference.voice import Voice

    converter = Converter(Voice.load(out / "voice.safetensors"))
    judged = out / "judged"
    write_truths(converter, judged)
    request = Request(
        sources=judged / "songs",
        references=out / "singers",
        parallel=judged / "truths",
        out=judged,
        judges=Judges(identity="cepstral", words="mfcc"),  # so that it does without Resemblyzer
    )
    found = evaluate(request, converter)
    publish(found, request, "Four synthetic singers", shown=len(found.scored.cases))
    draw_example(judged, out / "conversion.png")
    return found.scored.rows


def draw_example(judged: Path, path: Path) -> None:
    """The alto's song, the same as the bass, the bass's own rendition, and that through our vocoder path."""
    from svc.audio.files import read
    from svc.evaluation.metrics.f0 import praat
    from svc.evaluation.report import Exhibit, Section, section_picture
    from svc.utils import atomic

    files = {
        "source: alto": "songs/alto/alto.wav",
        "output: alto as bass": "converted/bass/alto/alto.wav",
        "truth: bass singing it": "truths/bass/alto.wav",
        "truth through our vocoder path": "truths/bass/alto.resung.wav",
    }
    recordings = {title: read(judged / name) for title, name in files.items()}
    exhibits = [Exhibit(title, audio, praat(audio)) for title, audio in recordings.items()]
    atomic.write_bytes(path, section_picture(Section("", "", exhibits)))


def write_truths(converter: "Converter", judged: Path) -> None:
    """Held-out songs, and what each target really sounds like singing them, as it is and through our vocoder path."""
    from svc.audio.files import Audio, write
    from svc.data.synthetic.singers import SINGERS, phrase, render
    from svc.inference import transpose

    known = {singer.name: singer for singer in converter.voice.singers}
    for number, source in enumerate(SINGERS):
        song = phrase(HELD_OUT + number)
        sung = render(source, song)
        for target in SINGERS:
            place = judged / "truths" / target.name if target is not source else judged / "songs" / source.name
            place.mkdir(parents=True, exist_ok=True)
            if target is source:
                write(place / f"{source.name}.wav", Audio(sung.samples, sung.rate))
                continue
            asked = sung.f0 * 2 ** (transpose.choose("auto", sung.f0[sung.f0 > 0], known[target.name].range) / 12)
            truth = Audio(render(target, song, f0=asked).samples, sung.rate)
            write(place / f"{source.name}.wav", truth)
            write(place / f"{source.name}.resung.wav", converter.convert(truth, target.name, transpose=0)[0])


def tabulate(rows: "list[Row]") -> "Table":
    """A row for each conversion, between its source and the target's truth through our vocoder path."""
    from svc.evaluation.report import Table

    columns = ["conversion", "source, dB", "output", "truth re-sung", "gap closed", "f0 median, cents", "> 50 cents"]
    lines = [
        [
            f"{row['singer']} → {row['target']}",
            *(f"{distance:.2f}" for distance in distances(rows, row)),
            f"{closed(rows, row):.0%}",
            f"{row['f0_median']:.1f}",
            f"{row['f0_over50']:.1%}",
            "yes" if row["named_target"] else "no",
        ]
        for row in conversions(rows)
    ]
    return Table([*columns, "named"], lines)


def conversions(rows: "list[Row]") -> "list[Row]":
    """The rows of the voice turning one singer into another."""
    return [row for row in rows if row["system"] == "voice" and row["singer"] != row["target"]]


def distances(rows: "list[Row]", made: "Row") -> list[float]:
    """Mel-cepstral distances to the truth in dB, of the source, of a conversion, and of the truth re-sung."""
    own = {
        row["system"]: row["mcd"] for row in rows if all(row[k] == made[k] for k in ("song", "target")) and "mcd" in row
    }
    return [own[system] for system in ("copied", "voice", "truth")]


def closed(rows: "list[Row]", made: "Row") -> float:
    """Share of the gap from the source to the re-sung truth."""
    source, output, truth = distances(rows, made)
    return (source - output) / (source - truth)


def summarise(rows: "list[Row]") -> str:
    """The means in a sentence."""
    made = conversions(rows)
    right = sum(row["named_target"] == 1 for row in made)
    return (
        f"Mean: {np.mean([closed(rows, row) for row in made]):.0%} of the gap closed, "
        f"f0 median {np.mean([row['f0_median'] for row in made]):.1f} cents, "
        f"{np.mean([row['f0_over50'] for row in made]):.1%} of frames off by > 50 cents, "
        f"{right} of {len(made)} named as the target."
    )


if __name__ == "__main__":
    cli.run(main)
