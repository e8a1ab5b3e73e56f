"""Are the envelopes of a voice blurred? Reconstruct songs with sharpened envelopes and predict their MOS.

A generator trained by distances to the truth predicts the average of what is possible, so formants are wide and move
slowly. Here each predicted log envelope is moved away from its own moving average, along frequency or along time,
without any training. Where that raises the MOS, an adversary has something to teach.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli
from svc.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

FREQUENCY, TIME = 9, 15  # points and frames of the moving averages
VARIANTS = {"as it is": (0.0, 0.0), "frequency": (0.5, 0.0), "time": (0.0, 0.5), "both": (0.5, 0.5)}


def main(
    voice: Annotated[Path, typer.Argument(help="voice file with a source-filter stage")],
    songs: Annotated[Path, typer.Argument(help="SONGS/<speaker>/*, of speakers of the voice")],
    mos: Annotated[str, typer.Option(help="predictor: distillmos or dnsmos")] = "distillmos",
) -> None:
    """Print the mean MOS of the songs, and of their reconstructions with each kind of sharpening."""
    import numpy as np

    from svc.audio import files
    from svc.audio.find import find_audio
    from svc.audio.resample import resample
    from svc.evaluation.metrics.mos import load_mos_predictor
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile

    converter, predict = Converter(VoiceFile.load(voice)), load_mos_predictor(mos)
    names = [speaker.name for speaker in converter.voice.speakers]
    paths = [path for path in find_audio(songs) if path.parent.name in names]
    if not paths or converter.generator.source_filter is None:
        raise DataError(f"{songs}: no songs of a speaker of this voice, or a voice without source-filter stage")
    sources = [resample(files.read(path), converter.voice.config.sample_rate) for path in paths]
    features = [converter.extract(source) for source in sources]
    typer.echo(f"{'the songs themselves':22} {np.mean([first(predict(source)) for source in sources]):.2f}")
    for variant, factors in VARIANTS.items():
        hook = converter.generator.source_filter.output.register_forward_hook(
            lambda _module, _inputs, output, factors=factors: sharpen(output, *factors)
        )
        scores = []
        for path, track in zip(paths, features, strict=True):
            _, samples = converter.convert_clip(track, names.index(path.parent.name))
            scores.append(first(predict(files.Audio(samples, converter.voice.config.sample_rate))))
        hook.remove()
        typer.echo(f"{variant:22} {np.mean(scores):.2f}")
    typer.echo(f"next: svc evaluate --voice {voice} --sources {songs} --mos {mos} -o OUT")


def first(scores: dict[str, float]) -> float:
    """The first of some scores."""
    return next(iter(scores.values()))


def sharpen(envelopes: "Tensor", frequency: float, time: float) -> "Tensor":
    """Log envelopes (B, N, 2·points) moved away from their moving averages along frequency and time."""
    from torch.nn.functional import avg_pool1d, pad

    def apart(values: "Tensor", size: int, factor: float) -> "Tensor":
        lines = values.reshape(-1, 1, values.shape[-1])
        smooth = avg_pool1d(pad(lines, (size // 2, size // 2), mode="replicate"), size, 1).reshape(values.shape)
        return values + factor * (values - smooth)

    batch, frames, points = envelopes.shape
    split = apart(envelopes.reshape(batch, frames, 2, points // 2), FREQUENCY, frequency)
    return apart(split.transpose(1, 3), TIME, time).transpose(1, 3).reshape(batch, frames, points)


if __name__ == "__main__":
    cli.run(main)
