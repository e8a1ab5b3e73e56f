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

from svc.cli.app import Force, GuidanceOption, VoiceOption, app, check_device, check_output, progress_stages
from svc.errors import DataError, WeightsError, printable
from svc.inference.base_voice import find_voice, name_voice

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
    guidance: GuidanceOption = None,
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
    device: Annotated[str, typer.Option(help="cpu, or cuda or mps where there is one")] = "cpu",
    force: Force = False,
) -> None:
    """Convert songs, or a folder of songs, to another speaker."""
    from svc.audio import files
    from svc.features.transpose import parse_transpose
    from svc.inference.loudness import parse_loudness
    from svc.inference.speaker_mix import is_recording

    semitones, target_loudness = parse_transpose(transpose), parse_loudness(loudness)
    several, f0_files, leveled = recursive or len(songs) > 1, bool(f0_csv or save_f0_csv), loudness != "source"
    if stream and (separate or f0_files or leveled or (songs, out) != ([PIPE], PIPE)):
        raise DataError("--stream: reads and writes pipes, give - as the song, and -o -; cannot be combined with -r, "
                        "--separate, --loudness, --f0-csv or --save-f0-csv")  # fmt: skip
    if separate and (leveled or mono):
        raise DataError("--separate: writes stereo at the level of the mix; leave --loudness and --mono out")
    if several and (f0_files or separate or PIPE in (*songs, out)):
        raise DataError("-r: cannot be combined with --f0-csv, --save-f0-csv, --separate or -; convert single songs")
    _check_songs(songs, recursive, out)
    path = find_voice(voice)
    mix = None if is_recording(speaker) else _read_mix(path, speaker)
    if mix is None:
        files.check_header(Path(speaker))
    label = mix.label if mix else Path(speaker).stem
    jobs, target = _choose_targets(songs, recursive, out, f"_{label}{_key(semitones)}")
    if not several:
        _check_paths(songs[0], target, path, f0_csv, save_f0_csv, force)
    check_device(device)
    from svc.inference.converter import ConversionOptions, Converter
    from svc.inference.voice import VoiceFile

    file = VoiceFile.load(path)
    if mix is None:
        from svc.adaptation.zero_shot import add_recording

        file, mix = add_recording(file, Path(speaker))
    options = ConversionOptions(mix, semitones, target_loudness, f0_csv, save_f0_csv, mono)
    converter = Converter(file, device, guidance)
    if stream:
        _convert_stream(converter, options, mix, stream_rate, stream_block_seconds)
    elif several:
        _convert_batch(converter, jobs, target, options, force)
    else:
        with _files_for_pipes(songs[0], target) as (source, sink):
            report = _convert_song(converter, source, sink, options, separate)
        _print_report(report, target, mix, path)


def _read_mix(voice: Path, speaker: str) -> "SpeakerMix":
    """A speaker or mix of a voice; a typing error is found before torch is imported."""
    from svc.audio import files
    from svc.audio.find import is_audio
    from svc.inference.speaker_mix import parse_speaker
    from svc.inference.voice_header import read_header

    try:
        return parse_speaker(read_header(voice), speaker)
    except WeightsError as error:
        if str(voice) in str(error):
            raise
        if Path(speaker).is_dir():
            raise DataError(f"{speaker}: is a folder; name one recording, or add the speaker with svc fit") from None
        if is_audio(Path(speaker).name):
            files.check_file(Path(speaker))
        raise WeightsError(f"{name_voice(voice)}: {error}; name another voice with -v") from None


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
    if not recursive and len(songs) == 1 and songs[0] != PIPE:
        files.check_header(songs[0])


def _choose_targets(
    songs: Sequence[Path], recursive: bool, out: Path | None, suffix: str
) -> tuple[list[tuple[Path, Path]], Path]:
    """Songs with their targets, and what is named at the end: the folder of several, or the target of one."""
    song = songs[0]
    if recursive or len(songs) > 1:
        from svc.inference.batch import check_jobs, list_jobs

        if recursive:
            folder = out or song.resolve().with_name(f"{song.resolve().name}{suffix}")
            return list_jobs(song, folder, ".wav"), folder
        return check_jobs([(one, (out or one.parent) / f"{one.stem}{suffix}.wav") for one in songs]), out or song.parent
    beside = not out or os.path.isdir(out)  # noqa: PTH112, unlike Path it takes a name that is too long
    target = (out or song.parent) / f"{song.stem}{suffix}.wav" if beside else out or song
    return [(song, target)], target


def _key(transpose: "Transpose") -> str:
    """Part of a file name that tells the key: ``+3``; empty for ``auto``, which keeps it."""
    if isinstance(transpose, str):
        return "" if transpose == "auto" else f"_{transpose}"
    return f"{transpose:+g}"


def _convert_song(
    converter: "Converter", source: Path, sink: Path, options: "ConversionOptions", separate: bool
) -> "ConversionReport":
    with progress_stages() as progress:
        if separate:
            from svc.inference.separation import Separator, convert_full_mix

            return convert_full_mix(converter, Separator(converter.device), source, sink, options, progress)
        return converter.convert_file(source, sink, options, progress)


def _convert_stream(
    converter: "Converter", options: "ConversionOptions", mix: "SpeakerMix", rate: int, block_seconds: float
) -> None:
    from svc.inference.streaming import StreamingConverter, convert_pcm_pipe

    stream = StreamingConverter(converter, mix, rate, options.transpose, block_seconds)
    shift = options.transpose if isinstance(options.transpose, str) else f"{options.transpose:+g} semitones"
    setup = f"transposed: {shift}, raw 16-bit mono at {rate} Hz, latency {stream.latency:.2f} s plus computing"
    typer.echo(printable(f"as {mix.label}, {setup}"), err=True)
    peak = convert_pcm_pipe(stream, sys.stdin.buffer, sys.stdout.buffer)
    if peak > 1:
        typer.echo(f"clipped: the peak was {peak:.2f} times full scale; lower the level of the input", err=True)
    typer.echo(f"transposed by {stream.transpose:+g} semitones\nnext: run it again for another stream", err=True)


def _convert_batch(
    converter: "Converter", jobs: list[tuple[Path, Path]], out: Path, options: "ConversionOptions", overwrite: bool
) -> None:
    from tqdm.contrib.logging import logging_redirect_tqdm

    from svc.inference.batch import convert_all
    from svc.utils.progress import progress

    bar = progress(convert_all(converter, jobs, options, overwrite=overwrite), "convert", "song", len(jobs))
    results: list[str] = []
    with logging_redirect_tqdm():
        for result in bar:
            results.append(result.status)
            if result.status != "skipped":
                name = "failed" if result.status == "failed" else result.target
                bar.write(f"  {name}: {result.message}", file=sys.stderr)
    converted, skipped, failed = (results.count(status) for status in ("converted", "skipped", "failed"))
    there = f"{skipped} already there{' (add -f to convert them again)' if skipped else ''}"
    typer.echo(f"{out}: {converted} songs converted, {there}, {failed} failed")
    if failed == len(results):
        raise DataError(f"none of {failed} files could be converted; the reasons are above")
    typer.echo(f"next: listen to {out}")


def _print_report(report: "ConversionReport", target: Path, mix: "SpeakerMix", voice: Path) -> None:
    echo = partial(typer.echo, err=target == PIPE)  # standard output is the song
    name = "standard output" if target == PIPE else f"{target}"
    echo(f"{name}: {report.seconds:.1f} s as {mix.label}, {report.transpose:+g} semitones, voice {name_voice(voice)}")
    echo("".join(f"  {line}\n" for line in report.notes + report.range_lines(mix)), nl=False)
    total = sum(report.timings.values())
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.timings.items())
    echo(f"computed in {total:.1f} s, {total / report.seconds:.3f} s per second of song ({stages})")
    if target != PIPE:
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
    for path in filter(None, (sink, save_f0_csv)):
        if path != PIPE:
            check_output(path, force)
            if path.resolve() in {one.resolve() for one in (source, voice, f0_csv) if one}:
                raise DataError(f"{path}: is an input of this command; give another name")
    if sink != PIPE:
        files.check_format(sink)


@contextmanager
def _files_for_pipes(song: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Temporary files in the place of pipes; the output is copied to standard output at the end."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "standard-input") if song == PIPE else song
        sink = Path(folder, "standard-output.wav") if target == PIPE else target
        if song == PIPE:
            with source.open("wb") as stream:
                shutil.copyfileobj(sys.stdin.buffer, stream)
        yield source, sink
        if target == PIPE:
            with sink.open("rb") as stream:
                shutil.copyfileobj(stream, sys.stdout.buffer)
