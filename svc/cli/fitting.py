"""A new singer for a voice: ``fit``."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.program import VOICE_HELP, Force, Overrides, app, free_voice, newest_voice
from svc.errors import DataError, SvcError

if TYPE_CHECKING:
    from svc.data.prepare import Summary

MATERIALS = ("auto", "speech", "song")


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
        bool, typer.Option("--full", help="then train the whole voice: nearer, slower, and the others change a little")
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
    from svc.data.processes import crew

    main = crew(cpu).main  # joined before anything can go wrong: who does not come would be waited for
    if material not in MATERIALS:
        raise DataError(f"--material {material}: give {', '.join(MATERIALS)}")
    if main:
        free_voice(out, force)
    from svc import fit as fitting
    from svc import tune as tuning
    from svc.data import manifest
    from svc.voice import Voice

    chosen = voice or newest_voice()
    loaded = Voice.load(chosen)
    changes = parse_overrides(overrides or [])
    config = fitting.configured(loaded, changes)
    work = out.with_suffix(".fit")
    begun = work.exists()
    try:
        summary = fitting.prepare_clips(loaded, clips, name, work / "prepared", jobs)
    except SvcError:
        if main and not begun:
            shutil.rmtree(work, ignore_errors=True)
        raise
    if main:
        _tell(summary, work)
    prepared = manifest.read(work / "prepared")
    heard = fitting.material_of(prepared) if material == "auto" else material
    outcome, start = fitting.fit(loaded, prepared, work / "run", config, cpu=cpu)
    if full and not outcome.interrupted:
        new = fitting.joined(loaded, prepared, work / "run", heard)
        rehearsed = crew().once(lambda: tuning.rehearse(new, prepared, work / "rehearsed"))
        outcome = tuning.tune(new, rehearsed, work / "tuned", tuning.tuning(loaded, changes), cpu=cpu)
    if not main:
        return
    if outcome.interrupted:
        typer.echo(f"stopped and saved at step {outcome.step} in {work}")
        typer.echo("next: the same command again, to go on")
        return
    new = tuning.tuned(new, work / "tuned") if full else fitting.joined(loaded, prepared, work / "run", heard)
    new.save(out)
    shutil.rmtree(work)
    added = new.singers[-1]
    near = ", ".join(f"{who} {share:.0%}" for who, share in start.names[:3] if share > 0.01)
    typer.echo(f"nearest of those it knew: {near}; the best was step {outcome.best_step} of {outcome.step}")
    pitch = f"{added.low_f0:.0f}–{added.high_f0:.0f} Hz"
    higher = f", {fitting.SUNG_ABOVE_SPOKEN:.0f} semitones above the speech" if heard == "speech" else ""
    typer.echo(f"heard as {heard}; --transpose auto will take {added.name} to sing at {pitch}{higher}")
    others = "the others changed a little with it" if full else f"the others sound as they did in {chosen}"
    typer.echo(f"{out}: {added.name} is number {added.number}; {others}")
    typer.echo(f"next: svc convert --voice {out} --speaker {added.name!r} SONG.wav")


def _tell(summary: "Summary", work: Path) -> None:
    """What was accepted, and what was not and why."""
    singer = summary.singers[0]
    for row in summary.rejected:
        typer.echo(f"  rejected {row['reason']}")
    minutes = f"{singer.seconds / 60:.1f} min" if singer.seconds >= 120 else f"{singer.seconds:.0f} s"
    typer.echo(f"{singer.name}: {len(summary.clips)} files, {minutes}; rejected: {len(summary.rejected)}")
    if not singer.median_f0:
        shutil.rmtree(work)
        raise DataError(f"{singer.name}: no pitch was found in the clips; record speech or song")
    if singer.seconds < 60:
        typer.echo(f"  {singer.name}: less than a minute; expect a poorer likeness")
