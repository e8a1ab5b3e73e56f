"""The command for which all the others are there: ``convert``."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.program import VOICE_HELP, Force, app, check_device, free, newest_voice, stages
from svc.errors import DataError


@app.command()
def convert(
    song: Annotated[Path, typer.Argument(help="recording of one voice, any format and rate")],
    speaker: Annotated[
        str, typer.Option("-s", "--speaker", help="name or number (see `svc speakers`), Ann:0.6,Bob:0.4, or MIX.csv")
    ],
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help=VOICE_HELP)] = None,
    transpose: Annotated[
        str,
        typer.Option("-t", "--transpose", help="auto: octaves into the singer's range; match: out of key; semitones"),
    ] = "auto",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="SONG_SPEAKER.wav if not given")] = None,
    f0: Annotated[Path | None, typer.Option(help="CSV of seconds,hz to take for the song's melody")] = None,
    save_f0: Annotated[
        Path | None, typer.Option(help="write the song's melody as such a CSV, before transposition")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one")] = "cpu",
    bf16: Annotated[bool, typer.Option("--bf16", help="sing in bf16: faster where the processor has it")] = False,
    force: Force = False,
) -> None:
    """Sing a song in another voice."""
    from svc import key

    wanted = key.parse(transpose)
    check_device(device)
    from svc.audio import files
    from svc.convert import Converter
    from svc.features.f0 import write_csv
    from svc.identities import cast
    from svc.voice import Voice

    files.check_file(song)
    chosen = voice or newest_voice()
    loaded = Voice.load(chosen)
    singer = cast(loaded, speaker)
    target = out or song.with_name(f"{song.stem}_{singer.label}.wav")
    files.check_format(target)
    for path in [target, save_f0] if save_f0 else [target]:
        free(path, force)
        if path.resolve() in {song.resolve(), f0 and f0.resolve()}:
            raise DataError(f"{path}: is an input; give the output another name")
    audio = files.read(song)
    files.check_format(target, audio.rate)
    with stages() as stage:
        converter = Converter(loaded, device, bf16)
        made, report = converter.convert(audio, speaker, transpose=wanted, curve=f0, progress=stage)
    files.write(target, made)
    if save_f0:
        write_csv(save_f0, report.melody)
    spent = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.spent.items())
    typer.echo(f"{target}: {report.seconds:.1f} s as {singer.label}, {report.transpose:+g} semitones, voice {chosen}")
    typer.echo(f"{sum(report.spent.values()) / report.seconds:.3f} s of computing a second of song ({spent} s)")
    typer.echo(f"next: listen to {target}")
