"""Average the weights of a voice and of a fine-tuned one that started from it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli
from svc.errors import DataError

if TYPE_CHECKING:
    from svc.inference.voice import VoiceFile


def main(
    start: Annotated[Path, typer.Argument(help="voice that the training started from")],
    tuned: Annotated[Path, typer.Argument(help="voice that came out of it")],
    out: Annotated[Path, typer.Option("-o", "--out", help="averaged voice")],
    share: Annotated[float, typer.Option(min=0, max=1, help="weight of the tuned voice")] = 0.5,
) -> None:
    """Write the averaged voice; it may be better than both where tuning gains one thing and forgets another."""
    from svc.inference.voice import VoiceFile

    average_weights(VoiceFile.load(start), VoiceFile.load(tuned), share).save(out)
    typer.echo(f"next: svc speakers -v {out}")


def average_weights(start: "VoiceFile", tuned: "VoiceFile", share: float) -> "VoiceFile":
    """The tuned voice with (1 − share) · start + share · tuned as its weights (Wortsman et al. 2022).

    Raises:
        DataError: the two have not the same speakers.
    """
    from svc.models.weight_names import SPEAKER_PARAM_NAMES

    if {speaker.name for speaker in start.speakers} != {speaker.name for speaker in tuned.speakers}:
        raise DataError("the two voices have other speakers; average a voice with the one it started from")
    rows = [start.speaker_index(speaker.name) for speaker in tuned.speakers]
    weights = {}
    for name, new in tuned.weights.items():
        old = start.weights[name][rows] if name in SPEAKER_PARAM_NAMES else start.weights[name]
        weights[name] = (1 - share) * old + share * new
    return replace(tuned, weights=weights)


if __name__ == "__main__":
    cli.run(main)
