"""Train the phone model of the content features: ``python recipes/train_phone_model.py SPEECH … -o RUN``."""

from pathlib import Path
from typing import Annotated

import typer

from svc import cli


def main(
    folders: Annotated[
        list[Path], typer.Argument(help="speech or song, in any layout; see recipes/phonetics/corpus.py")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the run; resumed if it exists")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. steps=500")] = None,
    synthetic: Annotated[int, typer.Option(min=0, help="additional utterances by espeak-ng; 0 without it")] = 1500,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="processes that align; one for each core if not given")
    ] = None,
) -> None:
    """Align recordings, augment them, and train. The same command again resumes."""
    from phonetics import corpus
    from phonetics.train import WEIGHTS, PhoneConfig, PhoneTrainer

    from svc.config import parse_overrides
    from svc.config.tree import from_overrides
    from svc.training.resume import lock_run

    config = from_overrides(PhoneConfig, parse_overrides(overrides or []))
    with lock_run(out):
        utterances, rejected = corpus.prepare(folders, out, synthetic, jobs)
        for reason in rejected:
            typer.echo(f"  rejected {reason}")
        run = PhoneTrainer(out, utterances, config)
        run.restore()
        run.train()
    typer.echo(f"{out / WEIGHTS}: {(out / WEIGHTS).stat().st_size / 1e6:.1f} MB")
    typer.echo(f"next: python recipes/probe_content_encoder.py RAVDESS --encoder {out / WEIGHTS}:embedding")


if __name__ == "__main__":
    cli.run(main)
