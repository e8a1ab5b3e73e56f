"""``svc fit``: add a speaker to a voice."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc.cli.app import (
    NOT_STATED,
    Force,
    Licence,
    Note,
    Overrides,
    VoiceOption,
    app,
    check_output,
    check_voice_output,
)
from svc.errors import AudioError, DataError
from svc.inference.base_voice import find_voice, name_voice

if TYPE_CHECKING:
    from svc.adaptation.pipeline import AdaptResult
    from svc.adaptation.speech_or_singing import VoiceType
    from svc.data.prepare import Summary
    from svc.inference.voice import VoiceFile

TYPES: "dict[str, VoiceType | None]" = {"auto": None, "speech": "speech", "singing": "song"}


@app.command()
def fit(
    clips: Annotated[Path, typer.Argument(help="folder of recordings of one speaker, speech or singing, any formats")],
    name: Annotated[str, typer.Option("-n", "--name", help="name of the new speaker")],
    out: Annotated[Path, typer.Option("-o", "--out", help="voice file to write, NAME.safetensors")],
    voice: VoiceOption = None,
    type_: Annotated[
        str, typer.Option("--type", help="speech, singing or auto; the range of speech is shifted up for singing")
    ] = "auto",
    zero_shot: Annotated[
        bool, typer.Option("--zero-shot", help="without training, in seconds, from up to a minute; base voice only")
    ] = False,
    finetune_model: Annotated[
        bool,
        typer.Option(
            "--finetune-model", help="also train the generator: more similar, slower, changes the others a little"
        ),
    ] = False,
    overrides: Overrides = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="processes that prepare")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="do not use accelerators")] = False,
    licence: Licence = NOT_STATED,
    note: Note = NOT_STATED,
    force: Force = False,
) -> None:
    """Add a speaker to a voice, from clips of speech or singing.

    A minute is enough, three are better. The other speakers do not change.

    Writes the voice, and beside it a WAV file to listen to: a held-out clip re-synthesised, and a phrase.

    On several GPUs: accelerate launch -m svc fit CLIPS --name NAME -o NEW.safetensors
    """
    from svc.config import parse_overrides
    from svc.data.sources import find_single_speaker
    from svc.utils.distributed import process_group

    main = process_group(cpu).main  # before any error: the others would wait for a process that does not join
    if type_ not in TYPES:
        raise DataError(f"--type {type_}: give {', '.join(TYPES)}")
    if main:
        check_voice_output(out, force)
        if not zero_shot:
            check_output(out.with_suffix(".wav"), force)
            find_single_speaker(clips, name)  # before the voice is loaded
    from svc.inference.voice import VoiceFile

    about = "; ".join(text for text in (note, f"licence {licence}") if not text.endswith(NOT_STATED))
    path, work_dir = find_voice(voice), out.with_suffix(".fit")
    if zero_shot:
        if finetune_model or overrides:
            raise DataError("--zero-shot: trains nothing; leave --finetune-model and --set out")
        if main:
            _save_zero_shot(VoiceFile.load(path), clips, out, name, TYPES[type_], about)
        return
    from svc.adaptation.pipeline import AdaptOptions, adapt

    options = AdaptOptions(name, TYPES[type_], finetune_model, parse_overrides(overrides or []), about)

    def print_prepared(summary: "Summary", voice_type: "VoiceType") -> None:
        if main:
            _print_summary(summary)
            typer.echo(f"type: {'speech' if voice_type == 'speech' else 'singing'}; adapting {name_voice(path)}, "
                       f"intermediate files in {work_dir}")  # fmt: skip

    result = adapt(VoiceFile.load(path), clips, options, work_dir, jobs=jobs, cpu=cpu, on_prepared=print_prepared)
    if not main:
        return
    if result.outcome.interrupted:
        typer.echo(f"stopped and saved at step {result.outcome.step} in {work_dir}")
        typer.echo("next: run the same command again to continue")
        return
    result.voice.save(out)
    _print_result(result, out)
    _listen(result, work_dir, out.with_suffix(".wav"), finetune_model)
    shutil.rmtree(work_dir)
    typer.echo(f"next: svc convert --voice {out} --speaker {result.voice.speakers[-1].name!r} SONG.wav")


def _save_zero_shot(
    voice: "VoiceFile", clips: Path, out: Path, name: str, voice_type: "VoiceType | None", about: str
) -> None:
    from svc.adaptation.zero_shot import add_speaker
    from svc.audio.find import find_audio

    paths = [clips] if clips.is_file() else list(find_audio(clips))
    if not paths:
        raise DataError(f"{clips}: holds no recordings; give a folder of clips, or one file")
    rejected: list[str] = []
    voice = add_speaker(voice, name, paths, about, voice_type, rejected)
    for reason in rejected:
        typer.echo(f"  rejected {reason}")
    voice.save(out)
    speaker = voice.speakers[-1]
    typer.echo(f"{out}: {speaker.name} is number {speaker.number}, from {speaker.seconds:.0f} s; nothing was trained")
    typer.echo(
        f"next: svc convert --voice {out} --speaker {speaker.name!r} SONG.wav; more alike: leave --zero-shot out"
    )


def _listen(result: "AdaptResult", work_dir: Path, preview: Path, finetuned: bool = False) -> None:
    """Write the preview, and print the likeness of the new speaker."""
    from svc.data import manifest
    from svc.evaluation.likeness import convert_phrase, measure_likeness, write_preview
    from svc.inference.converter import Converter
    from svc.utils.optional import MissingExtra

    converter, prepared = Converter(result.voice), manifest.read(work_dir / "prepared")
    phrase = convert_phrase(converter)
    note = f"{preview}: a clip re-synthesised, and a phrase converted; listen to it"
    try:
        write_preview(preview, converter, prepared, phrase)
    except AudioError as error:  # the voice is there
        note = f"no preview: {error}"
    try:
        likeness = measure_likeness(converter, prepared, phrase, result.initial.nearest)
    except MissingExtra as error:
        typer.echo(f"likeness not measured: {error}")
    else:
        lines = ["likeness not measured: no clip is held out; give several clips"]
        if likeness:
            lines = likeness.describe(result.voice.speakers[-1].name, finetuned)
        typer.echo("\n".join(lines))
    typer.echo(note)


def _print_summary(summary: "Summary") -> None:
    speaker = summary.speakers[0]
    for row in summary.rejected:
        typer.echo(f"  rejected {row['reason']}")
    minutes = f"{speaker.seconds / 60:.1f} min" if speaker.seconds >= 120 else f"{speaker.seconds:.0f} s"
    typer.echo(f"{speaker.name}: {len(summary.clips)} files, {minutes}; rejected: {len(summary.rejected)}")
    if speaker.seconds < 60:
        typer.echo(f"  {speaker.name}: less than a minute; expect a lower similarity")


def _print_result(result: "AdaptResult", out: Path) -> None:
    speaker, outcome = result.voice.speakers[-1], result.outcome
    nearest = ", ".join(result.initial.nearest[:3])
    if outcome.best_step is None:
        best = "there was no held-out clip to validate on"
    elif not outcome.best_step:
        best = f"no step of the last {outcome.step} was better on held-out clips, so they are not used"
    else:
        best = f"best step {outcome.best_step} of {outcome.step}"
        if outcome.best_step == outcome.step:
            best += f", so more steps may help: --set train.steps={2 * outcome.step}"
    typer.echo(f"nearest speakers: {nearest}; {best}")
    shifted = ", a guess from speech" if result.voice_type == "speech" else ""
    typer.echo(f"range for --transpose auto: {speaker.low_f0:.0f}–{speaker.high_f0:.0f} Hz{shifted}")
    others = (
        "the other speakers changed a little" if speaker.kind == "finetuned" else "the other speakers are unchanged"
    )
    typer.echo(f"{out}: {speaker.name} is number {speaker.number}; {others}")
