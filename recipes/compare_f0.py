"""Which melody tracker to take: CREPE's sizes with and without refinement against Praat, and what each costs."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from svc import cli
from svc.errors import DataError

RATE = 24_000  # Hz, at which everybody listens: a frame of it is a whole number of samples


def main(
    files: Annotated[list[Path], typer.Argument(help="recordings of one voice each")],
) -> None:
    """Print error against Praat's autocorrelation and computing time for each tracker."""
    from svc.audio import files as reading
    from svc.audio.resample import resample
    from svc.config import F0Config
    from svc.evaluation.metrics import f0 as f0_metric
    from svc.evaluation.report import Table
    from svc.features import f0

    knobs = F0Config()
    kinds = [
        replace(knobs, model=model, refine=refine) for model in ("tiny", "both", "full") for refine in (False, True)
    ]
    errors: dict[F0Config, list[np.ndarray]] = {kind: [] for kind in kinds}
    spent = dict.fromkeys(kinds, 0.0)
    seconds = 0.0
    for path in files:
        audio = resample(reading.read(path), RATE)
        asked = f0_metric.praat(audio)
        seconds += audio.seconds
        for kind in kinds:
            started = time.perf_counter()
            sung, periodicity = f0.track(audio, len(asked), kind)
            spent[kind] += time.perf_counter() - started
            both = (asked > 0) & (periodicity >= kind.periodicity)
            errors[kind].append(np.abs(1200 * np.log2(sung[both] / asked[both])))
    rows = []
    for kind in kinds:
        cents = np.concatenate(errors[kind])
        if not len(cents):
            raise DataError(f"{files[0]}: no frame is voiced for Praat and CREPE both; give recordings of a voice")
        share, cost = np.mean(cents > 50), spent[kind] / seconds
        refined = "yes" if kind.refine else "no"
        rows.append([kind.model, refined, f"{np.median(cents):.2f}", f"{share:.2%}", f"{cost:.3f}"])
    table = Table(["CREPE", "refined", "median, cents", "> 50 cents", "s of computing a second"], rows)
    typer.echo(table.markdown())
    typer.echo("next: set features.f0 in a config")


if __name__ == "__main__":
    cli.run(main)
