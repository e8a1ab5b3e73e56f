"""The command for which all the others are there: ``convert``."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import VOICE_HELP, Force, app, check_device, free, newest_voice, stages
from svc.errors import DataError, WeightsError, printable

if TYPE_CHECKING:
    from svc.inference.convert_file import Wish
    from svc.inference.converter import Converter, Report

PIPE = Path("-")  # standard input or output


@app.command()
def convert(
    song: Annotated[Path, typer.Argument(help="recording of one voice, any format and rate; a folder with -r; or -")],
    speaker: Annotated[
        str, typer.Option("-s", "--speaker", help="name or number (see `svc speakers`), Ann:0.6,Bob:0.4, or MIX.csv")
    ],
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help=VOICE_HELP)] = None,
    transpose: Annotated[
        str,
        typer.Option("-t", "--transpose", help="auto: octaves into the singer's range; match: out of key; semitones"),
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="SONG_SPEAKER.wav or FOLDER_SPEAKER if not given; - for a pipe")
    ] = None,
    loudness: Annotated[str, typer.Option(help="source, target (as the singer sings), or as -14LUFS")] = "source",
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="a folder of songs, however deep")] = False,
    separate: Annotated[bool, typer.Option("--separate", help="a full mix: convert its vocal, keep the rest")] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="as it comes: raw 16-bit mono samples from SONG - to -o -")
    ] = False,
    rate: Annotated[int, typer.Option(help="Hz of a stream")] = 48_000,
    block: Annotated[float, typer.Option(min=0.1, max=10, help="seconds of a stream that are sung at a time")] = 1.0,
    f0: Annotated[Path | None, typer.Option(help="CSV of seconds,hz to take for the song's melody")] = None,
    save_f0: Annotated[
        Path | None, typer.Option(help="write the song's melody as such a CSV, before transposition")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one")] = "cpu",
    bf16: Annotated[bool, typer.Option("--bf16", help="sing in bf16: faster where the processor has it")] = False,
    force: Force = False,
) -> None:
    """Sing a song, or a folder of songs, in another voice."""
    from svc.inference import transpose as transposition

    wanted = transposition.parse(transpose)
    check_device(device)
    from svc.audio import files
    from svc.inference.convert_file import Wish, parse_loudness
    from svc.inference.converter import Converter
    from svc.inference.speaker_mix import cast
    from svc.inference.voice import Voice

    wish = Wish(speaker, wanted, parse_loudness(loudness), f0, save_f0)
    if recursive and (f0 or save_f0 or separate or song == PIPE):
        raise DataError("-r: goes with none of --f0, --save-f0, --separate and -; convert such songs one by one")
    if separate and wish.loudness != "source":
        raise DataError("--separate: puts the voice back as loud as it was; leave --loudness away")
    if stream:
        _check_stream(wish, pipes=(song, out) == (PIPE, PIPE), others=separate)
    if not recursive and song != PIPE:
        if song.is_dir():
            raise DataError(f"{song}: is a folder; add -r to convert what is in it")
        files.check_file(song)
    chosen = voice or newest_voice()
    loaded = Voice.load(chosen)
    try:
        label = cast(loaded, speaker).label
    except WeightsError as error:
        raise WeightsError(f"{chosen}: {error}") from None
    converter = Converter(loaded, device, bf16)
    if stream:
        _stream(converter, wish, label, rate, block)
    elif recursive:
        _folder(converter, song, out or song.resolve().with_name(f"{song.resolve().name}_{label}"), wish, force)
    elif song == PIPE and out is None:
        raise DataError("-: give the output a name with -o, or -o - for standard output")
    else:
        target = out or song.with_name(f"{song.stem}_{label}.wav")
        with _piped(song, target) as (source, sink):
            _check(source, sink, wish, force)
            report, levels = _one(converter, source, sink, wish, separate)
        _tell(report, levels, target, f"{label}, {report.transpose:+g} semitones, voice {chosen}", label)


def _check_stream(wish: "Wish", *, pipes: bool, others: bool) -> None:
    if not pipes:
        raise DataError("--stream: goes from a pipe to a pipe; give - as the song, and -o -")
    if others or wish.curve or wish.save_f0 or wish.loudness != "source":
        raise DataError("--stream: goes with none of -r, --separate, --loudness, --f0 and --save-f0")


def _one(converter: "Converter", source: Path, sink: Path, wish: "Wish", separate: bool) -> "tuple[Report, str]":
    """Convert a file; what is to be told, and its levels in words."""
    from svc.inference.convert_file import convert_file, convert_mix

    with stages() as stage:
        if separate:
            from svc.inference.separation import Separator

            return convert_mix(converter, Separator(converter.device), source, sink, wish, stage)
        report, gain = convert_file(converter, source, sink, wish, stage)
        return report, gain.told()


def _tell(report: "Report", levels: str, target: Path, how: str, label: str) -> None:
    say = partial(typer.echo, err=target == PIPE)  # standard output is the song
    name = "standard output" if target == PIPE else str(target)
    say(f"{name}: {report.seconds:.1f} s as {how}")
    for line in [levels] * bool(levels) + _beyond(report, label):
        say(f"  {line}")
    spent = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.spent.items())
    total = sum(report.spent.values())
    say(f"{total:.1f} s of computing, {total / report.seconds:.3f} a second of song ({spent})")
    say(f"next: listen to {name}")


def _stream(converter: "Converter", wish: "Wish", label: str, rate: int, block: float) -> None:
    from svc.inference.streaming import Stream, pump

    sung = Stream(converter, wish.speaker, rate, wish.transpose, block)
    key = f"{wish.transpose:+g} semitones" if isinstance(wish.transpose, float) else f"key {wish.transpose}"
    typer.echo(printable(f"as {label}, {key}, raw 16-bit mono at {rate} Hz"), err=True)
    typer.echo(f"{sung.latency:.2f} s behind and the time of computing", err=True)
    pump(sung, sys.stdin.buffer, sys.stdout.buffer)
    typer.echo(f"the stream ended, sung {sung.transpose:+g} semitones from where it was", err=True)
    typer.echo("next: the same command takes another", err=True)


def _folder(converter: "Converter", folder: Path, out: Path, wish: "Wish", force: bool) -> None:
    from svc.inference.batch import claim, convert_all, plan
    from svc.utils.progress import progress

    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; name one, or leave -r away for a single song")
    pairs = plan(folder, out, ".wav")
    claim(pairs, out, converter.voice, wish, again=force)
    bar = progress(convert_all(converter, pairs, wish, again=force), "convert", "song", len(pairs))
    done = []
    for one in bar:
        done.append(one.became)
        if one.became == "refused":
            bar.write(f"  refused {one.words}", file=sys.stderr)
        elif one.became == "made":
            bar.write(f"  {one.target}: {one.words}", file=sys.stderr)
    made, there, refused = (done.count(became) for became in ("made", "there", "refused"))
    typer.echo(f"{out}: {made} songs converted, {there} there already, {refused} refused")
    if refused == len(done):
        raise DataError(f"{folder}: none of {refused} files could be converted; the reasons are above")
    typer.echo(f"next: listen to {out}")


def _check(source: Path, sink: Path, wish: "Wish", force: bool) -> None:
    """Refuse what cannot be read or may not be written, before any work."""
    from svc.audio import files

    files.check_file(source)
    if wish.curve:
        files.check_file(wish.curve)
    files.check_format(sink)
    if wish.save_f0 and wish.save_f0.resolve() == sink.resolve():
        raise DataError(f"{sink}: is to be both the song and its melody; give --save-f0 another name")
    for path in (sink, wish.save_f0):
        if path is None:
            continue
        free(path, force)
        if path.resolve() in {source.resolve(), wish.curve and wish.curve.resolve()}:
            raise DataError(f"{path}: is an input; give the output another name")


def _beyond(report: "Report", label: str) -> list[str]:
    """Notes that the singer was never heard at, in words."""
    told = "of the notes lie more than a semitone {} what {} is known at"
    sides = [(report.below, "below"), (report.above, "above")]
    lines = [f"{share:.0%} {told.format(side, label)}" for share, side in sides if share >= 0.01]
    far = max(report.below, report.above) >= 0.5
    return lines + [f"--transpose match sings where {label} is at home, out of key"] * far


@contextmanager
def _piped(song: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Files in the place of pipes; what was written for standard output goes there when all went well."""
    if PIPE not in (song, target):
        yield song, target
        return
    with tempfile.TemporaryDirectory() as folder:
        source, sink = song, target
        if song == PIPE:
            source = Path(folder) / "standard-input"
            with source.open("wb") as stream:
                shutil.copyfileobj(sys.stdin.buffer, stream)
        if target == PIPE:
            sink = Path(folder) / "standard-output.wav"
        yield source, sink
        if target == PIPE:
            with sink.open("rb") as stream:
                shutil.copyfileobj(stream, sys.stdout.buffer)
