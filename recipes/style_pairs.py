"""Judge style transfer on ordered pairs of speakers: ``python recipes/style_pairs.py SPEAKERS -p default``."""

import json
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice, permutations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svc import cli

if TYPE_CHECKING:
    from svc.audio.files import Audio
    from svc.style.transfer import StyleResult

    Transfer = Callable[[Audio, Audio], StyleResult]

MEANS = ("style_drop", "f0_median", "f0_shift", "loudness", "log_mel", "content_loss", "evaluations", "seconds")
PRESET_HELP = "of svc style; or base: svc convert by the base voice, with the style clip as --speaker"


def main(
    speakers: Annotated[Path, typer.Argument(help="folder with one folder of clips for each speaker, two or more")],
    preset: Annotated[str, typer.Option("-p", "--preset", help=PRESET_HELP)] = "default",
    as_published: Annotated[bool, typer.Option("--as-published", help="the preset as its authors had it")] = False,
    keep_pitch: Annotated[bool, typer.Option("--keep-pitch", help="do not transpose to the style's median f0")] = False,
    seconds: Annotated[float, typer.Option(help="of the content")] = 3.0,
    style_seconds: Annotated[float, typer.Option(help="of the style")] = 30.0,
    pairs: Annotated[int, typer.Option(help="ordered pairs, the first ones by name")] = 12,
    judges: Annotated[str, typer.Option(help="speaker encoders, with commas")] = "campplus,resemblyzer,cepstral",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for the outputs and rows.jsonl")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value of svc style")] = None,
) -> None:
    """Transfer the first clip of each speaker to the style of the second of each other one, and print the means.

    The judges know each speaker by the remaining clips.
    """
    from svc.audio import files
    from svc.audio.find import find_audio
    from svc.config import parse_overrides
    from svc.style.presets import make_config
    from svc.style.transfer import transfer

    clips = {folder.name: [files.read(path) for path in islice(find_audio(folder), 6)]
             for folder in sorted(speakers.iterdir()) if folder.is_dir()}  # fmt: skip
    if preset == "base":
        run = _base_voice(match_pitch=not keep_pitch)
    else:
        config = make_config(preset, parse_overrides(overrides or []), as_published=as_published)

        def run(source: "Audio", texture: "Audio") -> "StyleResult":
            return transfer(source, texture, config, match_pitch=not keep_pitch)

    rows = []
    for content, style in list(permutations(clips, 2))[:pairs]:
        result = run(clips[content][0].first(seconds), clips[style][1].first(style_seconds))
        rows.append(_row(result, (content, style), out))
    table = _judge(rows, clips, judges.split(","))
    if out is not None:
        lines = [json.dumps({k: v for k, v in row.items() if not k.startswith("_")}) for row in rows]
        (out / "rows.jsonl").write_text("\n".join(lines) + "\n")
    typer.echo(json.dumps(table))


def _base_voice(*, match_pitch: bool) -> "Transfer":
    """``svc convert``, transposed by as many semitones as ``svc style`` is; without losses."""
    import time

    from svc.api import Voice
    from svc.audio import files
    from svc.audio.files import Audio
    from svc.style.transfer import StyleResult, match_median_pitch

    voice = Voice.load("base")

    def convert(source: Audio, texture: Audio) -> StyleResult:
        started = time.perf_counter()
        content, semitones = match_median_pitch(source, texture) if match_pitch else (source, 0.0)
        with tempfile.TemporaryDirectory() as folder:
            files.write(Path(folder) / "style.wav", texture)
            output = voice.convert(source.samples, source.rate, speaker=f"{folder}/style.wav", transpose=semitones)
        losses = [{"style": 1.0, "content": 0.0}]
        return StyleResult(Audio(output, source.rate), content, semitones, losses, time.perf_counter() - started)

    return convert


def _row(result: "StyleResult", names: tuple[str, str], out: Path | None) -> dict[str, Any]:
    """Measures of an output against the content, transposed."""
    from svc.audio import files
    from svc.audio.resample import resample
    from svc.evaluation.metrics.f0 import f0_scores, load_tracker, loudness_scores
    from svc.evaluation.metrics.spectral import log_mel

    output, content = (resample(audio, 16_000) for audio in (result.audio, result.content))
    track = load_tracker("praat")
    f0 = f0_scores(output_f0=track(output), reference_f0=track(content))
    spectra = [log_mel(audio).ravel() for audio in (output, content)]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        files.write(out / f"{'_'.join(names)}.wav", output)
    first, last = result.trace[0], result.trace[-1]
    return {
        "content": names[0], "style": names[1], "_audio": output, "style_start": first["style"],
        "style_end": last["style"], "style_drop": first["style"] / max(last["style"], 1e-30),
        "content_loss": last["content"], "f0_median": f0["f0_median"], "f0_shift": abs(f0["shift"]),
        "loudness": loudness_scores(output=output, source=content)["loudness"], "log_mel": _correlation(spectra),
        "evaluations": len(result.trace), "seconds": result.seconds,
    }  # fmt: skip


def _judge(rows: Sequence[dict[str, Any]], clips: dict[str, list["Audio"]], judges: Sequence[str]) -> dict[str, Any]:
    """Means over the pairs; by judge the shares nearer to the style than to the content, and identified as it.

    And the mean margin between the two cosines.
    """
    import numpy as np

    from svc.evaluation.metrics.speaker import load_speaker_similarity

    table: dict[str, Any] = {"pairs": len(rows)}
    for name in MEANS:
        values = [row[name] for row in rows]
        table[name] = float(np.exp(np.mean(np.log(values))) if name == "style_drop" else np.nanmean(values))
    table |= {
        "min_style_drop": min(row["style_drop"] for row in rows),
        "min_loudness": min(row["loudness"] for row in rows),
    }
    for judge in judges:
        similarity = load_speaker_similarity(judge, {name: several[2:] for name, several in clips.items()})
        margins, named = [], []
        for row in rows:
            cosines = similarity.cosines(similarity.embed(row["_audio"]))
            margins.append(cosines[row["style"]] - cosines[row["content"]])
            named.append(max(cosines, key=lambda name: cosines[name]) == row["style"])
            row[judge] = cosines
        table[judge] = {
            "nearer_to_style": float(np.mean(np.greater(margins, 0))), "identified_as_style": float(np.mean(named)),
            "margin": float(np.mean(margins)),
        }  # fmt: skip
    return table


def _correlation(spectra: Sequence[Any]) -> float:
    import numpy as np

    count = min(map(len, spectra))
    return float(np.corrcoef(spectra[0][:count], spectra[1][:count])[0, 1])


if __name__ == "__main__":
    cli.run(main)
