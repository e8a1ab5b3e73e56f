"""The whole road on four synthetic singers: synthesise, prepare, train, convert, score against the truth, report."""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from svc import cli
from svc.errors import DataError, SvcError

if TYPE_CHECKING:  # torch is imported inside the functions, so that --help answers at once
    from svc.config import Config
    from svc.convert import Converter
    from svc.data.synthetic import Phrase, Singer
    from svc.evaluate.measures import SingerClassifier
    from svc.evaluate.report import Section, Table

HELD_OUT = 9_000  # seed of the first phrase that nobody trains on
PHRASES = 40  # each singer sings, 4 to 5 s each
MARKER = ".made-by-demo"  # in a folder of singers that may be deleted
SECONDS = "seconds.json"  # of training, summed over interrupted processes
LEGEND = "In cyan the melody: of source and truth the one they were made with, of output the one measured in it."


@dataclass(frozen=True)
class Conversion:
    """What came of one conversion; distances are mel-cepstral in dB to the target's true rendition."""

    source: str
    target: str
    named: str
    f0_median_cents: float
    f0_over50: float
    distance_source: float
    distance_output: float
    distance_truth: float

    @property
    def closed(self) -> float:
        """Share of the gap from the source to the re-synthesised truth."""
        return (self.distance_source - self.distance_output) / (self.distance_source - self.distance_truth)


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
    from svc.export import voice_of

    trained = train(out, load(config, parse_overrides(overrides or [])), phrases)
    if trained is None:
        typer.echo("next: run the same command again to go on")
        return
    started = time.perf_counter()
    voice = voice_of(out, "last", {"licence": "CC0: the singers are synthetic", "singers": "nobody"})
    voice.save(out / "voice.safetensors")
    conversions = judge(out)
    seconds = trained + time.perf_counter() - started
    scores = {"seconds": round(seconds, 1), "conversions": [asdict(c) for c in conversions]}
    (out / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
    typer.echo(tabulate(conversions).markdown())
    typer.echo(summarise(conversions))
    typer.echo(f"{seconds:.0f} s in all; look and listen: {out}/report.html")
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
    from svc.data import synthetic

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
    from svc import atomic

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


def judge(out: Path) -> list[Conversion]:
    """Every singer's held-out phrase turned into every other singer, scored; writes the report."""
    from svc.audio import files
    from svc.convert import Converter
    from svc.data.synthetic import SINGERS, phrase
    from svc.evaluate import measures, report
    from svc.progress import bar
    from svc.voice import Voice

    converter = Converter(Voice.load(out / "voice.safetensors"))
    paths = sorted((out / "singers").glob("*/*.wav"))
    classifier = measures.SingerClassifier([files.read(path) for path in paths], [path.parent.name for path in paths])
    conversions, sections = [], []
    with bar("judge", len(SINGERS) * (len(SINGERS) - 1), "song") as shown:
        for number, source in enumerate(SINGERS):
            for target in SINGERS:
                if target is source:
                    continue
                scored, section = judge_pair(converter, classifier, phrase(HELD_OUT + number), source, target)
                conversions.append(scored)
                sections.append(section)
                shown.update()
    with (out / "conversion.png").open("wb") as stream:
        report.picture(sections[0], stream)
    intro = f"{summarise(conversions)} {LEGEND}"
    report.write(out / "report.html", "Four synthetic singers", intro, tabulate(conversions), sections)
    return conversions


def judge_pair(
    converter: "Converter", classifier: "SingerClassifier", song: "Phrase", source: "Singer", target: "Singer"
) -> tuple[Conversion, "Section"]:
    """Score one phrase of one singer turned into another, against that singer's true rendition of the same melody."""
    from svc.audio.files import Audio
    from svc.data.synthetic import render
    from svc.evaluate import measures, report

    sung = render(source, song)
    original = Audio(sung.samples, sung.rate)
    made, told = converter.convert(original, target.name, transpose="auto")
    asked = sung.f0 * 2 ** (told.transpose / 12)
    truth = Audio(render(target, song, f0=asked).samples, sung.rate)
    resung, _ = converter.convert(truth, target.name)
    heard = measures.track_near(made, asked)
    pitch = measures.pitch_error(sung=heard, asked=asked)
    scored = Conversion(
        source=source.name,
        target=target.name,
        named=classifier.name(made),
        f0_median_cents=pitch.median,
        f0_over50=pitch.over_50,
        distance_source=measures.cepstral_distance(output=original, truth=truth),
        distance_output=measures.cepstral_distance(output=made, truth=truth),
        distance_truth=measures.cepstral_distance(output=resung, truth=truth),
    )
    exhibits = [
        report.Exhibit(f"source: {source.name}", original, sung.f0),
        report.Exhibit(f"output: {source.name} as {target.name}", made, heard),
        report.Exhibit(f"truth: {target.name} singing it", truth, asked),
        report.Exhibit("truth through our vocoder path", resung),
    ]
    text = f"{told.transpose:+g} semitones, {scored.closed:.0%} of the gap closed, named {scored.named}"
    return scored, report.Section(f"{source.name} → {target.name}", text, exhibits)


def tabulate(conversions: list[Conversion]) -> "Table":
    """A row for each conversion."""
    from svc.evaluate.report import Table

    columns = ["conversion", "source, dB", "output", "truth re-sung", "gap closed", "f0 median, cents", "> 50 cents"]
    rows = [
        [
            f"{c.source} → {c.target}",
            f"{c.distance_source:.2f}",
            f"{c.distance_output:.2f}",
            f"{c.distance_truth:.2f}",
            f"{c.closed:.0%}",
            f"{c.f0_median_cents:.1f}",
            f"{c.f0_over50:.1%}",
            c.named,
        ]
        for c in conversions
    ]
    return Table([*columns, "named"], rows)


def summarise(conversions: list[Conversion]) -> str:
    """The means in a sentence."""
    right = sum(c.named == c.target for c in conversions)
    return (
        f"Mean: {np.mean([c.closed for c in conversions]):.0%} of the gap closed, "
        f"f0 median {np.mean([c.f0_median_cents for c in conversions]):.1f} cents, "
        f"{np.mean([c.f0_over50 for c in conversions]):.1%} of frames off by > 50 cents, "
        f"{right} of {len(conversions)} named as the target."
    )


if __name__ == "__main__":
    cli.run(main)
