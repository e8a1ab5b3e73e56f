"""``svc convert``: recordings, a folder or a stream in another voice; mistakes are found before torch is imported."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import Force, VoiceOption, app, check_device, check_output, progress_stages
from svc.errors import DataError, WeightsError, printable
from svc.inference.base_voice import find_voice

if TYPE_CHECKING:
    from svc.features.transpose import Transpose
    from svc.inference.converter import ConversionOptions, ConversionReport, Converter
    from svc.inference.speaker_mix import SpeakerMix

PIPE = Path("-")  # standard input or output


@app.command()
def convert(
    songs: Annotated[
        list[Path], typer.Argument(help="recordings of one voice, any formats and rates; a folder with -r; or -")
    ],
    speaker: Annotated[
        str,
        typer.Option(
            "-s",
            "--speaker",
            help="name, number (see `svc speakers`), Ann:0.6,Bob:0.4, MIX.csv, or a recording ME.wav",
        ),
    ],
    voice: VoiceOption = None,
    transpose: Annotated[
        str,
        typer.Option(
            "-t", "--transpose", help="auto: whole octaves into the speaker's range; match: median to median; semitones"
        ),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="file or folder; SONG_SPEAKER+3.wav if not given; - for a pipe"),
    ] = None,
    loudness: Annotated[str, typer.Option(help="source, target (level of the speaker), or LUFS as -14LUFS")] = "source",
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="convert all recordings below a folder")] = False,
    mono: Annotated[bool, typer.Option("--mono", help="write one channel also of a stereo recording")] = False,
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
    """Convert songs, or a folder of songs, to another speaker."""
    from svc.features.transpose import parse_transpose
    from svc.inference.loudness import parse_loudness
    from svc.inference.speaker_mix import is_recording, parse_speaker

    semitones, target_loudness = parse_transpose(transpose), parse_loudness(loudness)
    several, f0_files, leveled = recursive or len(songs) > 1, bool(f0_csv or save_f0_csv), loudness != "source"
    if stream and (separate or f0_files or leveled or (songs, out) != ([PIPE], PIPE)):
        raise DataError("--stream: reads and writes pipes, give - as the song, and -o -; cannot be combined with -r, "
                        "--separate, --loudness, --f0-csv or --save-f0-csv")  # fmt: skip
    if separate and leveled:
        raise DataError("--separate: keeps the level of the vocals; leave --loudness out")
    if separate and mono:
        raise DataError("--separate: writes stereo, as the mix is; leave --mono out")
    if several and (f0_files or separate or PIPE in (*songs, out)):
        raise DataError("-r: cannot be combined with --f0-csv, --save-f0-csv, --separate or -; convert single songs")
    _check_songs(songs, recursive, out)
    path = find_voice(voice)
    recording = Path(speaker) if is_recording(speaker) else None
    name = recording.stem if recording else _check_speaker(path, speaker)
    jobs, target = _choose_targets(songs, recursive, out, f"{name}{_key_suffix(semitones)}")
    if not several:
        _check_paths(songs[0], target, path, f0_csv, save_f0_csv, force)
    check_device(device)
    from svc.inference.converter import ConversionOptions, Converter
    from svc.inference.voice import VoiceFile

    file = VoiceFile.load(path)
    if recording:
        from svc.adaptation.zero_shot import add_recording

        file = add_recording(file, recording)
        speaker = f"#{file.speakers[-1].number}"
    mix = parse_speaker(file, speaker)
    options = ConversionOptions(mix, semitones, target_loudness, f0_csv, save_f0_csv, mono)
    converter = Converter(file, device)
    if stream:
        _convert_stream(converter, options, mix, stream_rate, stream_block_seconds)
    elif several:
        _convert_batch(converter, jobs, target, options, force)
    else:
        with _files_for_pipes(songs[0], target) as (source, sink):
            report, levels = _convert_song(converter, source, sink, options, separate)
        _print_report(report, levels, target, mix, f"voice {path}")


def _check_speaker(voice: Path, speaker: str) -> str:
    """The label of a speaker or mix that a voice has; it is found before torch is imported."""
    from svc.inference.speaker_mix import parse_speaker
    from svc.inference.voice_header import read_header

    try:
        return parse_speaker(read_header(voice), speaker).label
    except WeightsError as error:
        raise error if str(voice) in str(error) else WeightsError(f"{voice}: {error}") from None


def _choose_targets(
    songs: Sequence[Path], recursive: bool, out: Path | None, label: str
) -> tuple[list[tuple[Path, Path]], Path]:
    """Songs with their targets, and what is named at the end: the folder of several, or the target of one."""
    from svc.inference.batch import check_jobs, list_jobs

    song = songs[0]
    if recursive:
        folder = out or song.resolve().with_name(f"{song.resolve().name}_{label}")
        return list_jobs(song, folder, ".wav"), folder
    if len(songs) > 1:
        jobs = [(one, (out or one.parent) / f"{one.stem}_{label}.wav") for one in songs]
        return check_jobs(jobs), out or song.parent
    target = out or song.with_name(f"{song.stem}_{label}.wav")
    if out and os.path.isdir(out):  # noqa: PTH112, unlike Path it takes a name that is too long
        target = out / f"{song.stem}_{label}.wav"
    return [(song, target)], target


def _check_songs(songs: Sequence[Path], recursive: bool, out: Path | None) -> None:
    """Refuse songs that are not there or are folders, and a place for several that is a file."""
    from svc.audio import files

    if recursive and len(songs) > 1:
        raise DataError("-r: takes one folder; leave -r out for several songs")
    if len(songs) > 1 and out and out.is_file():
        raise DataError(f"{out}: is a file; several songs need a folder")
    if songs[0] == PIPE and out is None:
        raise DataError("-: give the output a name with -o, or -o - for standard output")
    for song in songs:
        if recursive and not song.is_dir():
            raise DataError(f"{song}: is no folder; name one, or leave -r out for a single song")
        if not recursive and song.is_dir():
            raise DataError(f"{song}: is a folder; add -r to convert the recordings in it")
        if not recursive and len(songs) == 1 and song != PIPE:
            files.check_file(song)


def _key_suffix(transpose: "Transpose") -> str:
    """Part of a file name that tells the key: ``+3``; empty for ``auto``, which keeps it."""
    if isinstance(transpose, str):
        return "" if transpose == "auto" else f"_{transpose}"
    return f"{transpose:+g}"


def _convert_song(
    converter: "Converter", source: Path, sink: Path, options: "ConversionOptions", separate: bool
) -> "tuple[ConversionReport, str]":
    """The report, and a message about levels."""
    with progress_stages() as progress:
        if separate:
            from svc.inference.separation import Separator, convert_full_mix

            return convert_full_mix(converter, Separator(converter.device), source, sink, options, progress)
        report = converter.convert_file(source, sink, options, progress)
        return report, "\n  ".join(report.notes)


def _convert_stream(
    converter: "Converter", options: "ConversionOptions", mix: "SpeakerMix", rate: int, block_seconds: float
) -> None:
    from svc.inference.streaming import StreamingConverter, convert_pcm_pipe

    stream = StreamingConverter(converter, mix, rate, options.transpose, block_seconds)
    shift = options.transpose if isinstance(options.transpose, str) else f"{options.transpose:+g} semitones"
    latency = f"latency {stream.latency:.2f} s plus computing"
    typer.echo(printable(f"as {mix.label}, transposed: {shift}, raw 16-bit mono at {rate} Hz, {latency}"), err=True)
    peak = convert_pcm_pipe(stream, sys.stdin.buffer, sys.stdout.buffer)
    if peak > 1:
        typer.echo(f"clipped: the peak was {peak:.2f} times full scale; lower the level of the input", err=True)
    ended = f"the stream ended, transposed by {stream.transpose:+g} semitones"
    typer.echo(f"{ended}\nnext: run the same command for another stream", err=True)


def _convert_batch(
    converter: "Converter", jobs: list[tuple[Path, Path]], out: Path, options: "ConversionOptions", overwrite: bool
) -> None:
    from svc.inference.batch import convert_all
    from svc.utils.progress import progress

    bar = progress(convert_all(converter, jobs, options, overwrite=overwrite), "convert", "song", len(jobs))
    results: list[str] = []
    for result in bar:
        results.append(result.status)
        if result.status == "failed":
            bar.write(f"  failed: {result.message}", file=sys.stderr)
        elif result.status == "converted":
            bar.write(f"  {result.target}: {result.message}", file=sys.stderr)
    converted, skipped, failed = (results.count(status) for status in ("converted", "skipped", "failed"))
    there = f"{skipped} already there{' (add -f to convert them again)' if skipped else ''}"
    typer.echo(f"{out}: {converted} songs converted, {there}, {failed} failed")
    if failed == len(results):
        raise DataError(f"none of {failed} files could be converted; the reasons are above")
    typer.echo(f"next: listen to {out}")


def _print_report(report: "ConversionReport", levels: str, target: Path, mix: "SpeakerMix", voice: str) -> None:
    echo = partial(typer.echo, err=target == PIPE)  # standard output is the song
    name = "standard output" if target == PIPE else str(target)
    echo(f"{name}: {report.seconds:.1f} s as {mix.label}, {report.transpose:+g} semitones, {voice}")
    if levels:
        echo(f"  {levels}")
    echo("".join(f"  {line}\n" for line in report.range_lines(mix)), nl=False)
    total = sum(report.timings.values())
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.timings.items())
    echo(f"computed in {total:.1f} s, {total / report.seconds:.3f} s per second of song ({stages})")
    echo(f"next: listen to {name}")


def _check_paths(
    source: Path, sink: Path, voice: Path, f0_csv: Path | None, save_f0_csv: Path | None, force: bool
) -> None:
    """Refuse inputs that cannot be read and outputs that may not be written, before any work."""
    from svc.audio import files

    if f0_csv:
        files.check_file(f0_csv)
    if save_f0_csv and save_f0_csv.resolve() == sink.resolve():
        raise DataError(f"{sink}: is both the song and its f0; give --save-f0-csv another name")
    if sink != PIPE:
        check_output(sink, force)
        files.check_format(sink)
    if save_f0_csv:
        check_output(save_f0_csv, force)
    inputs = {path.resolve() for path in (source, voice, f0_csv) if path}
    for path in filter(None, (sink, save_f0_csv)):
        if path != PIPE and path.resolve() in inputs:
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
