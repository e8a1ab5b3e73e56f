"""The whole road on four synthetic singers: synthesise, prepare, train, convert, score against the truth, report."""

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from svc import cli

HELD_OUT = 9_000  # seed of the first phrase that nobody trains on
PHRASES = 40  # each singer sings, 4 to 5 s each


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
    phrases: Annotated[int, typer.Option(help="each singer sings to train on")] = PHRASES,
) -> None:
    """Convert between four synthetic singers, after training on them, and score it against the truth."""
    started = time.perf_counter()
    from svc.config import load, parse_overrides
    from svc.data import manifest, prepare, synthetic
    from svc.export import voice_of
    from svc.training.loop import train

    knobs = load(config, parse_overrides(overrides or []))
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "singers", ignore_errors=True)
    synthetic.write_singers(out / "singers", phrases)
    prepare.prepare(out / "singers", out / "prepared", knobs)
    outcome = train(manifest.read(out / "prepared"), out, knobs, cpu=True, accept_changes=True)
    if outcome.interrupted:
        typer.echo("next: run the same command again to go on")
        return
    voice = voice_of(out, "last", {"licence": "CC0: the singers are synthetic", "singers": "nobody"})
    voice.save(out / "voice.safetensors")
    conversions = judge(out)
    seconds = time.perf_counter() - started
    scores = {"seconds": round(seconds, 1), "conversions": [asdict(c) for c in conversions]}
    (out / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
    for line in table(conversions):
        typer.echo(line)
    typer.echo(f"{seconds:.0f} s in all; look and listen: {out}/report.html")
    typer.echo(
        f"next: svc convert --voice {out}/voice.safetensors --speaker bass SONG.wav, or your own singers: README"
    )


def judge(out: Path) -> list[Conversion]:
    """Every singer's held-out phrase turned into every other singer, scored; writes the report."""
    from svc.audio import files
    from svc.audio.files import Audio
    from svc.convert import Converter
    from svc.data.synthetic import SINGERS, phrase, render
    from svc.evaluate import measures, report
    from svc.progress import bar
    from svc.voice import Voice

    converter = Converter(Voice.load(out / "voice.safetensors"))
    paths = sorted((out / "singers").glob("*/*.wav"))
    classifier = measures.SingerClassifier([files.read(path) for path in paths], [path.parent.name for path in paths])
    conversions, sections = [], []
    with bar("judge", len(SINGERS) * (len(SINGERS) - 1), "song") as shown:
        for number, source in enumerate(SINGERS):
            song = phrase(HELD_OUT + number)
            sung = render(source, song)
            original = Audio(sung.samples, sung.rate)
            for target in SINGERS:
                if target is source:
                    continue
                made, told = converter.convert(original, target.name, transpose="auto")
                curve = sung.f0 * 2 ** (told.transpose / 12)
                true = render(target, song, f0=curve)
                truth = Audio(true.samples, true.rate)
                resung, _ = converter.convert(truth, target.name)
                pitch = measures.pitch_error(sung=measures.track_pitch(made), asked=curve)
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
                conversions.append(scored)
                exhibits = [
                    report.Exhibit(f"source: {source.name}", original, sung.f0),
                    report.Exhibit(f"output: {source.name} as {target.name}", made, told.f0),
                    report.Exhibit(f"truth: {target.name} singing it", truth, curve),
                    report.Exhibit("truth through our vocoder path", resung, curve),
                ]
                text = f"{told.transpose:+g} semitones, {scored.closed:.0%} of the gap closed, named {scored.named}"
                sections.append(report.Section(f"{source.name} → {target.name}", text, exhibits))
                shown.update()
    lines = table(conversions)
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    intro = " ".join(line for line in lines if not line.startswith("|"))
    with (out / "conversion.png").open("wb") as stream:
        report.picture(sections[0], stream)
    report.write(out / "report.html", "Four synthetic singers", intro, rows[0], rows[2:], sections)
    return conversions


def table(conversions: list[Conversion]) -> list[str]:
    """The scores as Markdown, and their summary."""
    lines = [
        "| conversion | source, dB | output | truth re-sung | gap closed | f0 median, cents | > 50 cents | named |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {c.source} → {c.target} | {c.distance_source:.2f} | {c.distance_output:.2f} | {c.distance_truth:.2f} "
        f"| {c.closed:.0%} | {c.f0_median_cents:.1f} | {c.f0_over50:.1%} | {c.named} |"
        for c in conversions
    ]
    right = sum(c.named == c.target for c in conversions)
    lines.append(
        f"Mean: {np.mean([c.closed for c in conversions]):.0%} of the gap closed, "
        f"f0 median {np.mean([c.f0_median_cents for c in conversions]):.1f} cents, "
        f"{np.mean([c.f0_over50 for c in conversions]):.1%} of frames off by > 50 cents, "
        f"{right} of {len(conversions)} named as the target."
    )
    return lines


if __name__ == "__main__":
    cli.run(main)
