"""A new singer for a voice: ``fit``."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from svc.cli.app import VOICE_HELP, Force, Overrides, app, free_voice, newest_voice
from svc.errors import DataError

if TYPE_CHECKING:
    from svc.adaptation.pipeline import Joined
    from svc.data.prepare import Summary


@app.command()
def fit(
    clips: Annotated[Path, typer.Argument(help="folder of one singer's recordings, speech or song, any formats")],
    name: Annotated[str, typer.Option("-n", "--name", help="of the new singer")],
    out: Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")],
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help=VOICE_HELP)] = None,
    material: Annotated[
        str, typer.Option(help="speech or song: who only speaks is thought to sing higher; auto: by ear")
    ] = "auto",
    full: Annotated[
        bool,
        typer.Option("--full", help="then train the voice as well: nearer, slower, and the others change a little"),
    ] = False,
    overrides: Overrides = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="processes that prepare")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="leave accelerators alone")] = False,
    force: Force = False,
) -> None:
    """Add a singer to a voice, from a minute or more of speech or song; everybody else in it stays as they are.

    On several GPUs: accelerate launch -m svc fit CLIPS --name NAME -o NEW.safetensors
    """
    from svc.config import parse_overrides
    from svc.utils.distributed import crew

    main = crew(cpu).main  # joined before anything can go wrong: who does not come would be waited for
    if material not in ("auto", "speech", "song"):
        raise DataError(f"--material {material}: give auto, speech or song")
    if main:
        free_voice(out, force)
    from svc.adaptation import pipeline
    from svc.inference.voice import Voice

    given = None if material == "auto" else cast(Literal["speech", "song"], material)
    wish = pipeline.Wish(name, given, full, parse_overrides(overrides or []))
    chosen, work = voice or newest_voice(), out.with_suffix(".fit")
    loaded = Voice.load(chosen)
    summary = pipeline.prepare(loaded, clips, wish, work, jobs)
    if main:
        _tell(summary)
        typer.echo(f"heard as {pipeline.heard_as(wish, work)}; they join {chosen}, and what is half done is in {work}")
    joined = pipeline.join(loaded, wish, work, cpu=cpu)
    if not main:
        return
    if joined.outcome.interrupted:
        typer.echo(f"stopped and saved at step {joined.outcome.step} in {work}")
        typer.echo("next: the same command again, to go on")
        return
    joined.voice.save(out)
    shutil.rmtree(work)
    tuned = joined.voice.singers[-1].kind == "tuned"
    _conclude(joined, out, f"the others {'changed a little with it' if tuned else f'sound as they did in {chosen}'}")


def _tell(summary: "Summary") -> None:
    """What was accepted, and what was not and why."""
    singer = summary.singers[0]
    for row in summary.rejected:
        typer.echo(f"  rejected {row['reason']}")
    minutes = f"{singer.seconds / 60:.1f} min" if singer.seconds >= 120 else f"{singer.seconds:.0f} s"
    typer.echo(f"{singer.name}: {len(summary.clips)} files, {minutes}; rejected: {len(summary.rejected)}")
    if singer.seconds < 60:
        typer.echo(f"  {singer.name}: less than a minute; expect a poorer likeness")


def _conclude(joined: "Joined", out: Path, others: str) -> None:
    from svc.adaptation.speech_or_singing import SUNG_ABOVE_SPOKEN

    singer, outcome = joined.voice.singers[-1], joined.outcome
    near = ", ".join(f"{who} {share:.0%}" for who, share in joined.start.names[:3] if share > 0.01)
    best = f"the best was step {outcome.best_step} of {outcome.step}"
    if outcome.best_step == outcome.step:
        best += f", so more may do better: --set train.steps={2 * outcome.step}"
    if outcome.best_step is None:
        best = "there was no held-out clip to judge by"
    elif not outcome.best_step:
        best = f"the last {outcome.step} steps came no nearer to the clips that were held out, so they are not kept"
    typer.echo(f"nearest of those it knew: {near}; {best}")
    higher = f", {SUNG_ABOVE_SPOKEN:.0f} semitones above the speech" if joined.material == "speech" else ""
    pitch = f"{singer.low_f0:.0f}–{singer.high_f0:.0f} Hz"
    typer.echo(f"--transpose auto will take {singer.name} to sing at {pitch}{higher}")
    typer.echo(f"{out}: {singer.name} is number {singer.number}; {others}")
    typer.echo(f"next: svc convert --voice {out} --speaker {singer.name!r} SONG.wav")
