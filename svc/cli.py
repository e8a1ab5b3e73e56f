"""The command line. Torch is imported inside the commands, so that ``--help`` answers at once."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from svc.errors import DataError, SvcError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Singing voice conversion: sing a song in one voice, hear it in another.",
    epilog="prepare a folder of singers → accelerate launch recipes/train.py → export a voice → convert songs",
)

MAX_TEXT = 1000  # characters of a message
VOICE_HELP = "voice file made by `svc export`; the newest runs/*/voice.safetensors if not given"
Overrides = Annotated[list[str] | None, typer.Option("--set", help="knob=value, e.g. features.f0.model=full")]
Force = Annotated[bool, typer.Option("-f", "--force", help="overwrite the output")]


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(help="folder with one folder of recordings for each singer")],
    out: Annotated[Path, typer.Option("-o", "--out", help="prepared folder")],
    config: Annotated[Path | None, typer.Option("-c", "--config", help="YAML, as configs/base.yaml")] = None,
    overrides: Overrides = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="processes; one a core by default")] = None,
) -> None:
    """Check, resample and analyse a folder of singers: DATA/<singer>/**/*, any names, any formats."""
    from svc.config import load, parse_overrides
    from svc.data import prepare as preparing

    knobs = load(config, parse_overrides(overrides or []))
    summary = preparing.prepare(data, out, knobs, jobs)
    for singer in summary.singers:
        files = [clip for clip in summary.clips if clip.singer == singer.name]
        held = sum(clip.split == "valid" for clip in files)
        pitch = f"{singer.low_f0:.0f}–{singer.high_f0:.0f} Hz" if singer.median_f0 else "no pitch found"
        minutes = f"{singer.seconds / 60:.1f} min"
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
    which: Annotated[str, typer.Option(help="checkpoint: last, or best by validation distance")] = "last",
    licence: Annotated[str, typer.Option(help="of the voice, for its card")] = "not stated",
    note: Annotated[str, typer.Option(help="for its card: whose voices, with whose consent")] = "not stated",
    force: Force = False,
) -> None:
    """Make one file to share, a voice, from a training run."""
    if which not in {"last", "best"}:
        raise DataError(f"--which {which}: give last or best")
    _free(out, force)
    from svc.export import voice_of

    voice = voice_of(run, which, {"licence": licence, "singers": note})
    voice.save(out)
    typer.echo(f"{out}: {len(voice.singers)} singers, {out.stat().st_size / 1e6:.1f} MB")
    typer.echo(f"next: svc convert --voice {out} --speaker {voice.singers[0].name!r} SONG.wav")


@app.command()
def speakers(
    voice: Annotated[Path, typer.Argument(help="voice file made by `svc export`")],
) -> None:
    """List the singers of a voice, and its card."""
    from svc.voice import Voice

    loaded = Voice.load(voice)
    width = max(len(singer.name) for singer in loaded.singers)
    for number, singer in enumerate(loaded.singers):
        pitch = f"{singer.low_f0:.0f}–{singer.high_f0:.0f} Hz, median {singer.median_f0:.0f}"
        typer.echo(f"{number:4d}  {singer.name:{width}}  {singer.seconds / 60:5.1f} min  {pitch}")
    for heading, text in loaded.card.items():
        typer.echo(_shown(f"{heading}: {text}"))
    typer.echo(f"next: svc convert --voice {voice} --speaker 0 SONG.wav")


@app.command()
def convert(
    song: Annotated[Path, typer.Argument(help="recording of one voice, any format and rate")],
    speaker: Annotated[str, typer.Option("-s", "--speaker", help="name or number, see `svc speakers`")],
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help=VOICE_HELP)] = None,
    transpose: Annotated[
        str, typer.Option("-t", "--transpose", help="semitones, or auto: octaves towards the singer's range")
    ] = "0",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="SONG_SPEAKER.wav if not given")] = None,
    f0: Annotated[Path | None, typer.Option(help="CSV of seconds,hz to take for the song's melody")] = None,
    save_f0: Annotated[
        Path | None, typer.Option(help="write the song's melody as such a CSV, before transposition")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one")] = "cpu",
    force: Force = False,
) -> None:
    """Sing a song in another voice."""
    from svc.convert import Converter, parse_transpose

    shift = parse_transpose(transpose)
    _check_device(device)
    from svc.audio import files
    from svc.features.f0 import write_csv
    from svc.voice import Voice

    files.check_file(song)
    chosen = voice or _newest_voice()
    loaded = Voice.load(chosen)
    name = loaded.singers[loaded.number(speaker)].name
    target = out or song.with_name(f"{song.stem}_{name}.wav")
    files.check_format(target)
    for path in [target, save_f0] if save_f0 else [target]:
        _free(path, force)
        if path.resolve() in {song.resolve(), f0 and f0.resolve()}:
            raise DataError(f"{path}: is an input; give the output another name")
    audio = files.read(song)
    files.check_format(target, audio.rate)
    with _stages() as stage:
        made, report = Converter(loaded, device).convert(audio, speaker, transpose=shift, curve=f0, progress=stage)
    files.write(target, made)
    if save_f0:
        write_csv(save_f0, report.melody)
    spent = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.spent.items())
    typer.echo(f"{target}: {report.seconds:.1f} s as {name}, {report.transpose:+g} semitones, voice {chosen}")
    typer.echo(f"{sum(report.spent.values()) / report.seconds:.3f} s of computing a second of song ({spent} s)")
    advice = "" if shift == "auto" else "; out of the singer's range? try --transpose auto"
    typer.echo(f"next: listen to {target}{advice}")


def _free(path: Path, force: bool) -> None:
    try:
        taken, folder = path.exists(), path.parent.is_dir()
    except OSError as error:
        raise DataError(f"{path}: cannot be a file's name ({error.strerror}); give another") from None
    if taken and not force:
        raise DataError(f"{path}: exists already; add -f to overwrite it or give another name")
    if not folder:
        raise DataError(f"{path.parent}: no such folder; make it or give another name")


def _newest_voice() -> Path:
    found = sorted(Path("runs").glob("*/voice.safetensors"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise DataError("no voice in runs/*/voice.safetensors; name one with --voice, or make one with tools/demo")
    return found[-1]


def _check_device(device: str) -> None:
    import torch

    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise DataError(f"--device {device}: not there; use cpu")


@contextmanager
def _stages() -> Iterator[Callable[[str, float], None]]:
    """A bar from 0 to 100 % over listening and singing."""
    from svc.progress import bar

    with bar("listen", 100, "%") as shown:

        def show(stage: str, share: float) -> None:
            shown.set_description_str(stage, refresh=False)
            done = 60 * share if stage == "listen" else 60 + 40 * share
            shown.update(max(0.0, min(done, 100.0) - shown.n))

        yield show


def main() -> None:
    """The console script ``svc``."""
    run_app(app)


def run(command: Callable[..., Any]) -> None:
    """Run one function as a program of its own, as the recipes do."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command()(command)
    run_app(single)


def run_app(program: typer.Typer) -> None:
    """Run a program; what the user can mend is one sentence and exit code 2."""
    try:
        program()
    except SvcError as error:
        typer.echo(f"svc: {_shown(str(error))}", err=True)
        sys.exit(2)


def _shown(text: str) -> str:
    """Text from a stranger's file on one line, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_TEXT]
