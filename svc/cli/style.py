"""``svc style``: neural style transfer of two clips."""

from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import Force, app, check_output
from svc.errors import DataError

PRESET_HELP = (
    "default; or a published system: random-cnn-2d, ulyanov, shallow, autoencoder; vggish, cnn14 (whose weights you "
    "have to download)"
)
OUT_HELP = (
    "audio file to write, .wav, .flac, .mp3 or .ogg; CONTENT_STYLE.wav beside CONTENT if not given; "
    "OUT.json and OUT.png are the report"
)
SET_HELP = (
    "option=value: evaluations=200 optimises longer, content_weight=0.1 keeps more of the content, "
    "weights=random does without a download; the report (OUT.json) lists all options"
)


@app.command()
def style(
    content: Annotated[
        Path, typer.Argument(metavar="CONTENT", help="recording whose words, timing and melody are kept; 1 s or more")
    ],
    style_clip: Annotated[
        Path, typer.Argument(metavar="STYLE", help="recording whose texture is transferred; its first 30 s of sound")
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help=OUT_HELP)] = None,
    preset: Annotated[str, typer.Option("-p", "--preset", help=PRESET_HELP)] = "default",
    as_published: Annotated[
        bool, typer.Option("--as-published", help="the preset exactly as its authors had it; slow, for comparison")
    ] = False,
    pitch: Annotated[
        str, typer.Option(help="match: transpose the content to the median pitch of the style first; or keep")
    ] = "match",
    seed: Annotated[int, typer.Option(help="of random weights and noise")] = 0,
    overrides: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    force: Force = False,
) -> None:
    """Transfer the texture of one clip to another.

    By optimisation: nothing is trained, no data is needed. 10 seconds of CONTENT take half a minute on two free cores.

    This transfers texture: the spectral colour and its local patterns. It does not convert the singer. For that,
    `svc convert CONTENT -s STYLE`, by a trained voice, is better.
    """
    from svc.audio import files
    from svc.config import parse_overrides

    if pitch not in ("keep", "match"):
        raise DataError(f"--pitch {pitch}: give match or keep")
    out = out or content.with_name(f"{content.stem}_{style_clip.stem}.wav")
    files.check_format(out)
    outputs = [out, out.with_suffix(".json"), out.with_suffix(".png")]
    for path in outputs:
        check_output(path, force)
    if {path.resolve() for path in outputs} & {content.resolve(), style_clip.resolve()}:
        raise DataError(f"{out}: is an input of this command; give another name")
    source, texture = files.read(content), files.read(style_clip)  # before torch is imported
    from svc.style.presets import make_config
    from svc.style.report import describe, measure, write_report
    from svc.style.transfer import check_clips, transfer
    from svc.utils.progress import bar

    config = make_config(preset, parse_overrides(overrides or []) | {"seed": seed}, as_published=as_published)
    check_clips(source, texture)
    with bar("style", 100, "%") as meter:

        def show(share: float, losses: dict[str, float]) -> None:
            if not meter.n:  # the time left is that of evaluations, not of what came before the first
                meter.reset()
                meter.n = meter.last_print_n = 100 * share
            meter.set_description_str(f"style {losses['style']:.2e} content {losses['content']:.2e}", refresh=False)
            meter.update(100 * share - meter.n)

        result = transfer(source, texture, config, match_pitch=pitch == "match", progress=show)
    files.write(out, result.audio)
    measures = measure(result, texture, config)
    write_report(out, result, texture, measures)
    typer.echo(f"{out}: {result.audio.seconds:.1f} s, preset {preset}, pitch {result.semitones:+.1f} semitones")
    typer.echo(describe(measures))
    claim = " (published: 5–10 minutes on a Tesla P40)" if as_published and preset == "random-cnn-2d" else ""
    typer.echo(f"computed in {result.seconds:.1f} s{claim}; report: {outputs[1]}, {outputs[2]}")
    typer.echo(f"next: listen to {out}")
