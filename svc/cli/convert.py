"""``svc convert``: a recording, a folder or a stream in another voice."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import VOICE_HELP, Force, app, check_device, check_output, newest_voice, progress_stages
from svc.errors import DataError, WeightsError, printable

if TYPE_CHECKING:
    from svc.inference.converter import ConversionOptions, ConversionReport, Converter
    from svc.inference.speaker_mix import SpeakerMix

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
        typer.Option(
            "-t", "--transpose", help="auto: whole octaves into the speaker's range; match: median to median; semitones"
        ),
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="SONG_SPEAKER.wav or FOLDER_SPEAKER if not given; - for a pipe")
    ] = None,
    loudness: Annotated[str, typer.Option(help="source, target (level of the speaker), or LUFS as -14LUFS")] = "source",
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="convert all recordings below a folder")] = False,
    separate: Annotated[
        bool, typer.Option("--separate", help="convert the vocals of a full mix and keep the rest")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="convert raw 16-bit mono samples from SONG - to -o - as they come")
    ] = False,
    stream_rate: Annotated[int, typer.Option(help="sample rate of the stream in Hz")] = 48_000,
    stream_block_seconds: Annotated[float, typer.Option(min=0.1, max=10, help="block length of the stream")] = 1.0,
    f0_csv: Annotated[Path | None, typer.Option(help="CSV of seconds,hz to use as f0 of the song")] = None,
    save_f0_csv: Annotated[
        Path | None, typer.Option(help="write the f0 of the song as such a CSV, before transposition")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one")] = "cpu",
    force: Force = False,
) -> None:
    """Convert a song, or a folder of songs, to another speaker."""
    from svc.features.transpose import parse_transpose

    semitones = parse_transpose(transpose)
    check_device(device)
    from svc.audio import files
    from svc.inference.converter import ConversionOptions, Converter
    from svc.inference.loudness import parse_loudness
    from svc.inference.speaker_mix import parse_speaker
    from svc.inference.voice import VoiceFile

    target_loudness = parse_loudness(loudness)
    f0_files = f0_csv or save_f0_csv
    if recursive and (f0_files or separate or song == PIPE):
        raise DataError("-r: cannot be combined with --f0-csv, --save-f0-csv, --separate or -; convert single songs")
    if separate and target_loudness != "source":
        raise DataError("--separate: keeps the level of the vocals; leave --loudness out")
    if stream and (song, out) != (PIPE, PIPE):
        raise DataError("--stream: reads and writes pipes; give - as the song, and -o -")
    if stream and (separate or f0_files or target_loudness != "source"):
        raise DataError("--stream: cannot be combined with -r, --separate, --loudness, --f0-csv or --save-f0-csv")
    if not recursive and song != PIPE:
        if song.is_dir():
            raise DataError(f"{song}: is a folder; add -r to convert the recordings in it")
        files.check_file(song)
    path = voice or newest_voice()
    loaded = VoiceFile.load(path)
    try:
        mix = parse_speaker(loaded, speaker)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    options = ConversionOptions(mix, semitones, target_loudness, f0_csv, save_f0_csv)
    converter = Converter(loaded, device)
    if stream:
        _convert_stream(converter, options, mix, stream_rate, stream_block_seconds)
    elif recursive:
        _convert_folder(converter, song, out or song.resolve().with_name(f"{song.resolve().name}_{mix.label}"),
                        options, force)  # fmt: skip
    elif song == PIPE and out is None:
        raise DataError("-: give the output a name with -o, or -o - for standard output")
    else:
        target = out or song.with_name(f"{song.stem}_{mix.label}.wav")
        with _files_for_pipes(song, target) as (source, sink):
            _check_paths(source, sink, path, options, force)
            report, levels = _convert_song(converter, source, sink, options, separate)
        _print_report(report, levels, target, mix, f"voice {path}")


def _convert_song(
    converter: "Converter", source: Path, sink: Path, options: "ConversionOptions", separate: bool
) -> "tuple[ConversionReport, str]":
    """The report, and a message about levels."""
    with progress_stages() as progress:
        if separate:
            from svc.inference.separation import Separator, convert_full_mix

            return convert_full_mix(converter, Separator(converter.device), source, sink, options, progress)
        report = converter.convert_file(source, sink, options, progress)
        return report, report.gain.describe()


def _convert_stream(
    converter: "Converter", options: "ConversionOptions", mix: "SpeakerMix", rate: int, block_seconds: float
) -> None:
    from svc.inference.streaming import StreamingConverter, convert_pcm_pipe

    stream = StreamingConverter(converter, mix, rate, options.transpose, block_seconds)
    transpose = options.transpose
    shift = f"{transpose:+g} semitones" if isinstance(transpose, float) else f"transpose {transpose}"
    typer.echo(printable(f"as {mix.label}, {shift}, raw 16-bit mono at {rate} Hz"), err=True)
    typer.echo(f"latency {stream.latency:.2f} s plus computing", err=True)
    convert_pcm_pipe(stream, sys.stdin.buffer, sys.stdout.buffer)
    typer.echo(f"the stream ended, transposed by {stream.transpose:+g} semitones", err=True)
    typer.echo("next: run the same command for another stream", err=True)


def _convert_folder(
    converter: "Converter", folder: Path, out: Path, options: "ConversionOptions", overwrite: bool
) -> None:
    from svc.inference.batch import convert_all, list_jobs
    from svc.utils.progress import progress

    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; name one, or leave -r out for a single song")
    jobs = list_jobs(folder, out, ".wav")
    bar = progress(convert_all(converter, jobs, options, overwrite=overwrite), "convert", "song", len(jobs))
    results = []
    for result in bar:
        results.append(result.status)
        if result.status == "failed":
            bar.write(f"  failed: {result.message}", file=sys.stderr)
        elif result.status == "converted":
            bar.write(f"  {result.target}: {result.message}", file=sys.stderr)
    converted, skipped, failed = (results.count(status) for status in ("converted", "skipped", "failed"))
    hint = " (add -f to convert them again)" if skipped else ""
    typer.echo(f"{out}: {converted} songs converted, {skipped} already there{hint}, {failed} failed")
    if failed == len(results):
        raise DataError(f"{folder}: none of {failed} files could be converted; the reasons are above")
    typer.echo(f"next: listen to {out}")


def _print_report(report: "ConversionReport", levels: str, target: Path, mix: "SpeakerMix", voice: str) -> None:
    echo = partial(typer.echo, err=target == PIPE)  # standard output is the song
    name = "standard output" if target == PIPE else str(target)
    echo(f"{name}: {report.seconds:.1f} s as {mix.label}, {report.transpose:+g} semitones, {voice}")
    if levels:
        echo(f"  {levels}")
    outside = {"below": report.share_below_range, "above": report.share_above_range}
    for side, share in outside.items():
        if share >= 0.01:
            echo(f"  {share:.0%} of the notes are more than a semitone {side} the range of {mix.label}")
    if max(outside.values()) >= 0.5:
        echo(f"  add --transpose match to convert into the range of {mix.label}, in another key")
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.timings.items())
    total = sum(report.timings.values())
    echo(f"computed in {total:.1f} s, {total / report.seconds:.3f} s per second of song ({stages})")
    echo(f"next: listen to {name}")


def _check_paths(source: Path, sink: Path, voice: Path, options: "ConversionOptions", force: bool) -> None:
    """Refuse inputs that cannot be read and outputs that may not be written, before any work."""
    from svc.audio import files

    files.check_file(source)
    if options.f0_csv:
        files.check_file(options.f0_csv)
    if options.save_f0_csv and options.save_f0_csv.resolve() == sink.resolve():
        raise DataError(f"{sink}: is both the song and its f0; give --save-f0-csv another name")
    inputs = {path.resolve() for path in (source, voice, options.f0_csv) if path}
    for path in filter(None, (sink, options.save_f0_csv)):
        check_output(path, force)
        if path.resolve() in inputs:
            raise DataError(f"{path}: is an input of this command; give another name")


@contextmanager
def _files_for_pipes(song: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Temporary files in the place of pipes; the output is copied to standard output at the end."""
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
