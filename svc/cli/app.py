"""The program that commands join, and what they share. Torch is imported inside commands, so that --help is quick."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from svc import __version__
from svc.errors import DataError, SvcError, printable
from svc.utils.hardware import keep_memory

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Singing voice conversion: sing a song in one voice, hear it in another.",
    epilog="prepare a folder of singers → accelerate launch recipes/train.py → export a voice → convert songs → fit "
    "more singers",
)

VOICE_HELP = "voice file made by `svc export`; the newest runs/*/voice.safetensors if not given"
SHARES = {"separate": (0, 40), "listen": (0, 60), "sing": (60, 100)}  # of the bar, %
OUT_OF_MEMORY = (
    "the GPU is out of memory; end what else runs on it, use --device cpu, "
    "or train with --cpu or a smaller train.batch and --accept-changes"
)
Overrides = Annotated[list[str] | None, typer.Option("--set", help="knob=value, e.g. features.f0.model=full")]
Force = Annotated[bool, typer.Option("-f", "--force", help="overwrite the output")]


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _svc(
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="say which svc this is")
    ] = False,
) -> None:
    pass


def free(path: Path, force: bool) -> None:
    """Refuse to write where there is something, without force, or where there is no folder."""
    try:
        taken, folder = path.exists(), path.parent.is_dir()
    except OSError as error:
        raise DataError(f"{path}: cannot be a file's name ({error.strerror}); give another") from None
    if taken and not force:
        raise DataError(f"{path}: exists already; add -f to overwrite it or give another name")
    if not folder:
        raise DataError(f"{path.parent}: no such folder; make it or give another name")


def free_voice(path: Path, force: bool) -> None:
    """The same for a voice file, whose name must end as those of safetensors files do."""
    if path.suffix != ".safetensors":
        raise DataError(f"{path}: is no name for a voice; end it in .safetensors")
    free(path, force)


def newest_voice() -> Path:
    """The voice to sing in if none is named."""
    found = sorted(Path("runs").glob("*/voice.safetensors"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise DataError("no voice in runs/*/voice.safetensors; name one with --voice, or make one with tools/demo")
    return found[-1]


def check_device(device: str) -> None:
    """Refuse an accelerator that is not there."""
    import torch

    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if device not in there:
        raise DataError(f"--device {device}: not there; use {' or '.join(there)}")


@contextmanager
def stages() -> Iterator[Callable[[str, float], None]]:
    """A bar from 0 to 100 % over separating, if that is asked for, listening and singing."""
    from svc.utils.progress import bar

    with bar("listen", 100, "%") as meter:

        def show(stage: str, share: float) -> None:
            meter.set_description_str(stage, refresh=False)
            first, last = SHARES[stage]
            done = first + (last - first) * share
            meter.update(max(0.0, min(done, 100.0) - meter.n))

        yield show


def run(command: Callable[..., Any]) -> None:
    """Run one function as a program of its own, as the recipes do."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command()(command)
    run_app(single)


def run_app(program: typer.Typer) -> None:
    """Run a program; what the user can mend is one sentence and exit code 2."""
    keep_memory()
    try:
        program()
    except SvcError as error:
        _give_up(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "svc").partition(".")[0] == "svc":
            raise
        _give_up(f"{error.name} is not installed here; bash tools/setup installs what this version of svc needs")
    except RuntimeError as error:
        import torch

        if not isinstance(error, torch.cuda.OutOfMemoryError):
            raise
        _give_up(OUT_OF_MEMORY)


def _give_up(sentence: str) -> NoReturn:
    typer.echo(f"svc: {printable(sentence)}", err=True)
    sys.exit(2)
