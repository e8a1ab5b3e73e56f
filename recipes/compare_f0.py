"""Compare f0 trackers: CREPE's sizes with and without refinement, against Praat, with the cost of each."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from svc import cli
from svc.errors import DataError

RATE = 24_000  # Hz: 10 ms are a whole number of samples


def main(
    files: Annotated[list[Path], typer.Argument(help="recordings of one voice each")],
) -> None:
    """Print the error against Praat's autocorrelation and the computing time of each tracker."""
    from svc.audio.files import read
    from svc.audio.resample import resample
    from svc.config import F0Config
    from svc.evaluation.metrics import f0 as f0_metric
    from svc.evaluation.page import Table
    from svc.features import f0

    config = F0Config()
    kinds = [
        replace(config, model=model, refine=refine) for model in ("tiny", "both", "full") for refine in (False, True)
    ]
    errors: dict[F0Config, list[np.ndarray]] = {kind: [] for kind in kinds}
    spent = dict.fromkeys(kinds, 0.0)
    seconds = 0.0
    for path in files:
        audio = resample(read(path), RATE)
        reference = f0_metric.praat(audio)
        seconds += audio.seconds
        for kind in kinds:
            started = time.perf_counter()
            estimate, periodicity = f0.track(audio, len(reference), kind)
            spent[kind] += time.perf_counter() - started
            both = (reference > 0) & (periodicity >= kind.voicing_threshold)
            errors[kind].append(np.abs(1200 * np.log2(estimate[both] / reference[both])))
    rows = []
    for kind in kinds:
        cents = np.concatenate(errors[kind])
        if not len(cents):
            raise DataError(f"{files[0]}: no frame is voiced for both Praat and CREPE; give recordings of a voice")
        share, cost = np.mean(cents > 50), spent[kind] / seconds
        refined = "yes" if kind.refine else "no"
        rows.append([kind.model, refined, f"{np.median(cents):.2f}", f"{share:.2%}", f"{cost:.3f}"])
    table = Table(["CREPE", "refined", "median, cents", "> 50 cents", "s of computing per s"], rows)
    typer.echo(table.markdown())
    typer.echo("next: set features.f0 in a config")


if __name__ == "__main__":
    cli.run(main)
