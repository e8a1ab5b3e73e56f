"""Measure what is kept of expression and stereo, on synthetic truth: f0 as tracked, and f0 of the conversion."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from svc import cli

if TYPE_CHECKING:
    from svc.inference.converter import Converter

Curve = NDArray[np.float64]  # (N,) Hz, 0 where unvoiced
Rows = list[list[str]]

RATE, EXTENT = 6.0, 80.0  # Hz and cents, of the vibrato
LOW, HIGH, GLIDE_SECONDS = 80.0, 1400.0, 8
CREAK_HZ, CREAK_PHRASE = 40.0, 5  # Hz of its lowest note
SAMPLE_RATE = 24_000


def main(
    voice: Annotated[Path, typer.Option("-v", "--voice", help="voice file, or base")] = Path("base"),
    speaker: Annotated[str, typer.Option("-s", "--speaker", help="name, #number or mix")] = "#0",
    seconds: Annotated[int, typer.Option(min=20, help="length of the held note")] = 90,
) -> None:
    """Print measures of vibrato, whisper, glide, creak (to a deep, a middle, a high voice), stereo and a 5.1 file."""
    from svc.audio.files import Audio
    from svc.audio.resample import resample
    from svc.evaluation.metrics.f0 import praat
    from svc.evaluation.page import Table
    from svc.inference.base_voice import find_voice
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile

    converter = Converter(VoiceFile.load(find_voice(voice)))

    def measure(
        song: tuple[NDArray[np.float32], Curve], lowest: float = 65.0, highest: float = 1100.0, target: str = speaker
    ) -> list[Curve]:
        """True f0, f0 as tracked, and f0 of the conversion by Praat, without transposition."""
        output, report = converter.convert(Audio(song[0], SAMPLE_RATE), target, transpose=0.0)
        return [song[1], report.source_f0.astype(np.float64), praat(output, lowest, highest)]

    note = _sing(3, lambda time: 220 * 2 ** (EXTENT / 1200 * np.sin(2 * np.pi * RATE * time)), seconds)
    whisper, truth = _verse(range(4), whispered=True)
    rendition, report = converter.convert(Audio(whisper, SAMPLE_RATE), speaker, transpose=0.0)
    voiced = converter.extract(resample(rendition, converter.voice.config.sample_rate)).voiced
    rows = [
        *_held_note(f"note of {seconds} s, {RATE:g} Hz ± {EXTENT:g} cents", *measure(note)),
        *_voicing("whispered verse", truth, report.source_f0, voiced),
        *_voicing(
            "whispered verse, source and conversion by Praat",
            truth,
            praat(Audio(whisper, SAMPLE_RATE)),
            praat(rendition),
        ),
    ]
    for singer, name in ((0, "alto"), (2, "breathy soprano")):
        glide = _sing(
            singer, lambda time: LOW * (HIGH / LOW) ** np.clip((time - 0.2) / GLIDE_SECONDS, 0, 1), GLIDE_SECONDS
        )
        what = f"glide, {LOW:g} to {HIGH:g} Hz in {GLIDE_SECONDS} s, {name}"
        rows += _errors(what, *measure(glide, 65.0, 1500.0))
    by_pitch = sorted((one for one in converter.voice.speakers if one.median_f0), key=lambda one: one.median_f0)
    targets = {one.number: one for one in (by_pitch[0], by_pitch[len(by_pitch) // 2], by_pitch[-1])}.values()
    for singer, name in ((1, "bass"), (3, "ringing tenor")):
        phrase = _verse([singer], CREAK_PHRASE, median=CREAK_HZ)
        for one in targets:
            what = f"creak from {CREAK_HZ:g} Hz, {name} to {one.name} ({one.median_f0:.0f} Hz)"
            rows += _errors(what, *measure(phrase, 25.0, 300.0, f"#{one.number}"))
    typer.echo(Table(["synthetic truth", "measure", "tracked", "converted"], rows).markdown())
    with tempfile.TemporaryDirectory() as folder:
        rows = _channels(converter, speaker, Path(folder))
    typer.echo("\n" + Table(["file", "measure", "converted"], rows).markdown())
    typer.echo(f"next: svc convert -v {voice} -s {speaker} SONG.wav")


def _sing(singer: int, curve: Callable[[Curve], Curve], seconds: int) -> tuple[NDArray[np.float32], Curve]:
    """A vowel on a curve in Hz of the time in seconds, by a synthetic singer; and its true f0."""
    from svc.data.synthetic.phrases import Note, Phrase
    from svc.data.synthetic.singers import SINGERS, render

    note = Phrase((Note("", "a", 0.0, float(seconds)),), lead=0.2)
    song = render(SINGERS[singer], note, SAMPLE_RATE, f0=curve((np.arange(note.frames) + 0.5) / 100))
    return song.samples, song.f0


def _verse(
    singers: Sequence[int], first: int = 0, whispered: bool = False, median: float | None = None
) -> tuple[NDArray[np.float32], Curve]:
    """A phrase by each of some synthetic singers, and the true f0."""
    from svc.data.synthetic.phrases import phrase
    from svc.data.synthetic.singers import SINGERS, render

    phrases = [replace(phrase(first + number), whispered=whispered) for number in range(len(singers))]
    songs = [render(SINGERS[n], one, SAMPLE_RATE, median=median) for n, one in zip(singers, phrases, strict=True)]
    return np.concatenate([song.samples for song in songs]), np.concatenate([song.f0 for song in songs])


def _held_note(what: str, truth: Curve, *curves: Curve) -> Rows:
    from svc.evaluation.metrics.f0 import expression_scores
    from svc.inference.converter import CHUNK_FRAMES

    seams = np.arange(CHUNK_FRAMES, len(truth) - 100, CHUNK_FRAMES)[:, None] + np.arange(-3, 3)
    rows = [[what, name] for name in ("drift", "extent of vibrato", "error of its rate", "step at seams, elsewhere")]
    for curve in curves:
        scores = expression_scores(output_f0=curve, source_f0=truth)
        error = np.where((curve > 0) & (truth > 0), 1200 * np.log2(np.maximum(curve, 1) / np.maximum(truth, 1)), np.nan)
        steps = np.abs(np.diff(error))
        rows[0].append(f"{np.nanmean(error[-1050:-50]) - np.nanmean(error[50:1050]):+.2f} cents")
        rows[1].append(f"{scores['vibrato_extent']:.1%}")
        rows[2].append(f"{scores['vibrato_rate']:.2f} Hz")
        rows[3].append(f"{np.nanmax(steps[seams]):.1f}, {np.nanpercentile(steps[50:-50], 99):.1f} cents")
    return rows


def _voicing(what: str, _truth: Curve, *curves: NDArray[np.floating] | NDArray[np.bool_]) -> Rows:
    return [[what, "voiced frames", *(f"{(curve > 0).mean():.2%}" for curve in curves)]]


def _errors(what: str, truth: Curve, *curves: Curve) -> Rows:
    rows = [[what, name] for name in ("voiced frames kept", "median error", "within 100 cents", "an octave off")]
    for curve in curves:
        both = (curve > 0) & (truth > 0)
        cents = np.abs(1200 * np.log2(curve[both] / truth[both]))
        rows[0].append(f"{both.sum() / (truth > 0).sum():.1%}")
        rows[1].append(f"{np.median(cents):.2f} cents")
        rows[2].append(f"{(cents < 100).mean():.1%}")
        rows[3].append(f"{(np.abs(cents - 1200) < 100).mean():.1%}")
    return rows


def _channels(converter: "Converter", speaker: str, folder: Path) -> Rows:
    import soundfile

    from svc.inference.converter import ConversionOptions

    def convert(samples: NDArray[np.floating]) -> NDArray[np.float32]:
        soundfile.write(folder / "in.wav", samples, SAMPLE_RATE, "FLOAT", format="WAVEX")
        converter.convert_file(folder / "in.wav", folder / "out.wav", ConversionOptions(speaker, transpose=0.0))
        return soundfile.read(folder / "out.wav", dtype="float32", always_2d=True)[0]

    def position(samples: NDArray[np.floating]) -> Curve:
        seconds = np.array_split(samples.astype(np.float64), len(samples) // SAMPLE_RATE)
        return np.array([10 * np.log10(np.divide(*np.square(one).sum(axis=0))) for one in seconds])

    song, _ = _verse([0, 0, 0])
    angle = np.pi / 4 * (1 + 0.8 * np.sin(np.linspace(0, 2 * np.pi, len(song))))
    stereo = song[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    bass = np.outer(np.sin(2 * np.pi * 55 * np.arange(len(song)) / SAMPLE_RATE), [0.3, 0.3, 0, 0.3, 0.2, 0.2])
    wanted, mono = position(stereo), convert(song)
    error = np.abs(position(convert(stereo)) - wanted).max()
    same = np.array_equal(convert(bass + np.outer(song, [0, 0, 1, 0, 0, 0])), mono)
    return [
        [f"stereo, from {wanted.max():+.0f} to {wanted.min():+.0f} dB", "largest error of a second", f"{error:.2f} dB"],
        ["5.1, voice in the centre", "equal to the centre alone", "to the bit" if same else "no"],
    ]


if __name__ == "__main__":
    cli.run(main)
