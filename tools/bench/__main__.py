"""How fast is it, and against whom: ``python tools/bench [--peer NAME=PATH]``, best where nothing else runs."""

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
    from peers import Peers
    from timing import Group

RESULTS = Path(__file__).resolve().with_name("RESULTS.md")
GROUPS = ("f0", "content", "generator", "train", "convert", "prepare")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"group, of {', '.join(GROUPS)}; repeatable")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATH: checkout of parallel_wavegan, hifigan or vocos; repeatable"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="that count; one before them warms up")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="little audio, one round: only to see that it works")] = False,
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help="to convert with; random weights if none")] = None,
    singing: Annotated[Path | None, typer.Option(help="folder of recordings for f0; synthetic if none")] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Markdown; tools/bench/RESULTS.md, which takes only a whole run, if none"),
    ] = None,
) -> None:
    """Measure svc and its peers side by side, and write the table."""
    unknown = sorted(set(only or ()) - set(GROUPS))
    if unknown:
        raise DataError(f"--only {unknown[0]}: no such group; there are {', '.join(GROUPS)}")
    target = place(out, whole=not quick and not only)
    import host
    import peers
    import results
    import timing
    import torch
    from material import Sizes

    from svc.utils import hardware

    given = peers.parse(peer or [])
    hardware.keep_memory()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(host.cores())
    chosen = [name for name in GROUPS if not only or name in only]
    compared = {"generator", "train"} & set(chosen)
    found = peers.find(given) if compared or given else peers.Peers({}, {})
    for sentence in found.absent.values():
        typer.echo(sentence)
    installed = sorted(set(peers.MODULES) - found.absent.keys() - {"hifigan"}) if compared else []
    about = host.describe(installed)
    sizes = Sizes.quick() if quick else Sizes()
    with tempfile.TemporaryDirectory(prefix="svc-bench-", ignore_cleanup_errors=True) as folder:
        groups = [made for name in chosen for made in build(name, sizes, found, voice, singing, Path(folder))]
        tables = timing.measure(groups, 1 if quick else rounds, warm=0 if quick else 1)
    counted = "one, cold and short: these are no figures" if quick else f"{rounds}, and one before them to warm up"
    text = results.page(told(sys.argv[1:]), counted, about, tables, list(found.absent.values()))
    typer.echo(text)
    if target:
        results.write(target, text)
    typer.echo(f"next: {f'read {target}' if target else 'the whole, where nothing else runs: python tools/bench'}")


def place(out: Path | None, whole: bool) -> Path | None:
    """Where the table goes: nowhere if it is not the whole and no file is given.

    Raises:
        DataError: there is no such folder.
    """
    target = out or (RESULTS if whole else None)
    if target and not target.parent.is_dir():
        raise DataError(f"{target.parent}: no such folder; make it or give another -o")
    return target


def build(
    name: str, sizes: "Sizes", found: "Peers", voice: Path | None, singing: Path | None, folder: Path
) -> "list[Group]":
    """The contestants of that name, ready to run; networks alone on a GPU too, where there is one."""
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
    return [make(sizes, found, device) for device in devices]


def told(arguments: list[str]) -> list[str]:
    """Arguments as they are published: of a path its name alone."""
    return [Path(argument).name if "/" in argument and "=" not in argument else argument for argument in arguments]


if __name__ == "__main__":
    cli.run(main)
