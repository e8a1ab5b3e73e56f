"""Speed of the project: ``python tools/bench [--only GROUP]``, on an idle machine."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli
from svc.errors import DataError

if TYPE_CHECKING:
    from material import Sizes
    from timing import Group

RESULTS = Path(__file__).resolve().with_name("RESULTS.md")
GROUPS = ("f0", "content", "generator", "train", "convert", "prepare")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"group, of {', '.join(GROUPS)}; repeatable")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="measured rounds, after one to warm up")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="little audio, one round: only a test")] = False,
    voice: Annotated[
        Path | None, typer.Option("-v", "--voice", help="voice to convert with; random weights if not given")
    ] = None,
    singing: Annotated[Path | None, typer.Option(help="folder of recordings for f0; synthetic if not given")] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Markdown file; for a whole run tools/bench/RESULTS.md"),
    ] = None,
) -> None:
    """Measure f0, content, generator, training step, conversion and preparation, and write the tables."""
    unknown = sorted(set(only or ()) - set(GROUPS))
    if unknown:
        raise DataError(f"--only {unknown[0]}: no such group; there are {', '.join(GROUPS)}")
    target = output_path(out, whole=not quick and not only)
    from svc.utils import hardware

    hardware.limit_spinning()  # before torch is imported
    import host
    import results
    import timing
    import torch
    from material import Sizes

    hardware.tune_glibc_malloc()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(host.cores())
    chosen = [name for name in GROUPS if not only or name in only]
    about = host.describe()
    sizes = Sizes.quick() if quick else Sizes()
    with tempfile.TemporaryDirectory(prefix="svc-bench-", ignore_cleanup_errors=True) as folder:
        groups = [group for name in chosen for group in build(name, sizes, voice, singing, Path(folder))]
        tables = timing.measure(groups, 1 if quick else rounds, warm=0 if quick else 1)
    rounds_text = "one, cold and short: not for comparison" if quick else f"{rounds}, after one to warm up"
    text = results.page(without_folders(sys.argv[1:]), rounds_text, about, tables)
    typer.echo(text)
    if target:
        results.write(target, text)
    typer.echo(f"next: {f'read {target}' if target else 'a whole run on an idle machine: python tools/bench'}")


def output_path(out: Path | None, whole: bool) -> Path | None:
    """The file to write, if any.

    Raises:
        DataError: its folder does not exist.
    """
    target = out or (RESULTS if whole else None)
    if target and not target.parent.is_dir():
        raise DataError(f"{target.parent}: no such folder; create it or choose another -o")
    return target


def build(name: str, sizes: "Sizes", voice: Path | None, singing: Path | None, folder: Path) -> "list[Group]":
    """The groups of that name; those of networks on a GPU as well, if there is one."""
    import material
    import melody
    import networks
    import torch
    import whole

    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if name == "f0":
        return [melody.group(material.recordings(singing, sizes.f0) if singing else material.sing(sizes.f0, 16_000))]
    if name == "content":
        return [whole.features(sizes)]
    if name == "convert":
        return [whole.conversion(sizes, voice, folder)]
    if name == "prepare":
        return [whole.preparation(sizes, folder)]
    make = networks.generators if name == "generator" else networks.training
    return [make(sizes, device) for device in devices]


def without_folders(arguments: list[str]) -> list[str]:
    """Arguments for publication: the names of paths only."""
    return [Path(argument).name if "/" in argument and "=" not in argument else argument for argument in arguments]


if __name__ == "__main__":
    cli.run(main)
