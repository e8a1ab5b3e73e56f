"""The demo of a minute: a song in the voices of three singers of the base voice, and of a fourth from ten seconds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli

if TYPE_CHECKING:
    from svc.audio.files import Audio
    from svc.evaluation.page import AudioExample

EXAMPLES = Path(__file__).parent / "examples"
SPEAKERS = ("safiye", "goekhan", "martin")  # of the base voice
INTRO = (
    "One song, sung by one person, and its conversions by the base voice. The last speaker is known from the recording "
    "below alone; nothing was trained for it."
)


def main(
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the demo")] = Path("runs/demo"),
    song: Annotated[Path, typer.Option(help="one voice without accompaniment")] = EXAMPLES / "song.ogg",
    speech: Annotated[Path, typer.Option(help="2 to 60 s of speech or singing")] = EXAMPLES / "kathleen.ogg",
) -> None:
    """Convert a song with the base voice, and write a page with players."""
    from svc.adaptation.zero_shot import add_recording
    from svc.audio import files
    from svc.evaluation.page import Page, Section, plot_section, write
    from svc.inference.base_voice import find_voice
    from svc.inference.converter import ConversionOptions, Converter
    from svc.inference.voice import VoiceFile
    from svc.utils.atomic import write_bytes
    from svc.utils.progress import progress

    voice, _ = add_recording(VoiceFile.load(find_voice("base")), speech)
    converter, target = Converter(voice), voice.speakers[-1]
    out.mkdir(parents=True, exist_ok=True)
    examples = [spectrogram("source", files.read(song))]
    names = (*SPEAKERS, target.name)
    for name in progress(names, "convert", "speaker", len(names)):
        path = out / f"{song.stem}_{name}.wav"
        converter.convert_file(song, path, ConversionOptions(name))
        label = f"{name}, from {target.seconds:.0f} s" if name == target.name else name
        examples.append(spectrogram(label, files.read(path)))
    recording = spectrogram(f"recording of {target.name}", files.read(speech))
    page = Page("A song in four voices", INTRO, {}, [Section(song.stem, examples), Section(speech.stem, [recording])])
    write(out / "index.html", page)
    write_bytes(out / "conversions.png", plot_section(Section("", examples)))
    typer.echo(f"{out}: {len(names)} conversions of {song.name}")
    typer.echo(f"open {out / 'index.html'} to see and listen")
    typer.echo("next: svc convert --speaker safiye SONG.wav; your own voice: --speaker ME.wav, 10 s of speech")


def spectrogram(title: str, audio: "Audio") -> "AudioExample":
    """A player with a spectrogram and f0."""
    from svc.evaluation.metrics.f0 import praat
    from svc.evaluation.page import AudioExample
    from svc.utils.optional import MissingExtra

    try:
        return AudioExample(title, audio, praat(audio))
    except MissingExtra:
        return AudioExample(title, audio)


if __name__ == "__main__":
    cli.run(main)
