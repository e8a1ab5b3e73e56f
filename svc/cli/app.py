"""The command-line program and what its commands share. Torch is imported inside commands, so that --help is quick."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_type_hints

import typer
import typer.core

from svc import __version__
from svc.errors import FULL_DISK, DataError, SvcError, is_full, os_errors_as, printable
from svc.utils.hardware import limit_spinning, tune_glibc_malloc

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # rich takes as long to import as all else
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Singing voice conversion: convert the voice of a song to another speaker.",
    epilog="Prepare recordings, train, export a voice, convert songs, fit more speakers.",
)

VOICE_HELP = "voice file, or base; if not given, the newest runs/*/voice.safetensors, else base"
PROGRESS_SPANS = {"separate": (0, 40), "extract": (0, 60), "synthesise": (60, 100)}  # of the bar, %
OUT_OF_MEMORY = (
    "the GPU is out of memory; end what else runs on it, use --device cpu, "
    "or train with --cpu or a smaller train.batch_size and --allow-config-change"
)
VOICE_COMMANDS = {"speakers", "rename", "remove", "merge"}  # that also take the voice as their first argument
_VOICE, _LICENCE = {"--model": "--voice"}, {"--license": "--licence"}
ALIASES = {  # by command: what people try first, not shown in --help
    "convert": {"--singer": "--speaker", "--pitch": "--transpose", "--key": "--transpose", **_VOICE},
    "evaluate": {"--singer": "--speaker", **_VOICE},
    "fit": {"--speaker": "--name", "--singer": "--name", **_VOICE, **_LICENCE},
    **dict.fromkeys(("prepare", "train", "export"), _LICENCE),
    **dict.fromkeys(("serve", *VOICE_COMMANDS), _VOICE),
}
RENAMED_OPTIONS = {  # by command
    "convert": {
        "--f0": "--f0-csv",
        "--save-f0": "--save-f0-csv",
        "--rate": "--stream-rate",
        "--block": "--stream-block-seconds",
    },
    "evaluate": {
        "--pitch": "--f0-tracker",
        "--identity": "--speaker-encoder",
        "--transcribe": "--asr",
        "--targets": "--num-targets",
        "--shown": "--num-examples",
        "--references": "--enrolment",
    },
    "export": {"--which": "--checkpoint"},
    "fit": {"--material": "--type", "--full": "--finetune-model"},
    "train": {"--accept-changes": "--allow-config-change"},
}
VALUES = (("Path", "PATH"), ("str", "TEXT"), ("int", "N"), ("float", "X"))  # in --help, by the type of an option
GuidanceOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=2, help="how far to move from the average speaker: 0 clearer words, 1 more like the target"
    ),
]
VoiceOption = Annotated[Path | None, typer.Option("-v", "--voice", help=VOICE_HELP)]
NOT_STATED = "not stated"
Licence = Annotated[str, typer.Option(help="of the voice, for its card")]
Note = Annotated[str, typer.Option(help="for the card: whose voices, with whose consent")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="option=value, e.g. features.f0.model=full")]
Force = Annotated[bool, typer.Option("-f", "--force", "--overwrite", help="overwrite the output")]


class Command(typer.core.TyperCommand):
    """A command whose --help names arguments in capitals, as README does, and the values of options by VALUES."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        hints = {name: str(hint) for name, hint in get_type_hints(self.callback).items()}
        for parameter in self.params:
            hint = hints.get(parameter.name or "", "bool")
            if parameter.param_type_name == "argument":
                parameter.metavar = parameter.metavar or (parameter.name or "").upper()
            elif "bool" not in hint:
                parameter.metavar = next((value for kind, value in VALUES if kind in hint), None)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """[OPTIONS] and the arguments, without the braces of typer."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The lists of arguments and of options, without the types that typer puts behind arguments."""
        arguments, options = [], []
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            if parameter.param_type_name == "argument":
                arguments.append((parameter.metavar, record[1]))
            else:
                options.append(record)
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _svc(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


def check_output(path: Path, force: bool) -> None:
    """Refuse an output that exists, without force, or whose folder does not exist."""
    with os_errors_as(DataError, path, "cannot be a file name", "give another name"):
        exists, folder_exists = path.exists(), path.parent.is_dir()
    if exists and not force:
        raise DataError(f"{path}: exists already; add -f to overwrite it or give another name")
    if not folder_exists:
        raise DataError(f"{path.parent}: no such folder; make it or give another name")


def check_voice_output(path: Path, force: bool) -> None:
    """``check_output`` of a voice file, which ends in .safetensors."""
    if path.suffix != ".safetensors":
        raise DataError(f"{path}: is no name of a voice file; end it in .safetensors")
    check_output(path, force)


def check_device(device: str) -> None:
    """Refuse a device that does not exist."""
    import torch

    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    if device not in devices:
        raise DataError(f"--device {device}: not there; use {' or '.join(devices)}")


@contextmanager
def progress_stages() -> Iterator[Callable[[str, float], None]]:
    """A bar from 0 to 100 % over the stages of a conversion: separate (if requested), extract and synthesise."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    from svc.utils.progress import bar

    with bar("extract", 100, "%") as meter, logging_redirect_tqdm():  # a warning begins on a line of its own

        def show(stage: str, share: float) -> None:
            meter.set_description_str(stage, refresh=False)
            first, last = PROGRESS_SPANS[stage]
            done = first + (last - first) * share
            meter.update(max(0.0, min(done, 100.0) - meter.n))

        yield show


def run(command: Callable[..., Any]) -> None:
    """Run one function as a program, as the recipes do."""
    single = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    single.command(cls=Command)(command)
    run_app(single)


def run_app(program: typer.Typer, arguments: Sequence[str] | None = None) -> None:
    """Run a program; errors that the user can correct are one line and exit code 2."""
    tune_glibc_malloc()
    limit_spinning()
    threading.excepthook = _hide_full_disk
    try:
        program(args=arguments)
    except SvcError as error:
        _exit_with(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "svc").partition(".")[0] == "svc":
            raise
        _exit_with(f"{error.name} is not installed; install svc again with pip, or in a clone run bash tools/setup")
    except OSError as error:
        if not is_full(error):
            raise
        _exit_with(f"{error.filename}: {FULL_DISK}" if error.filename else FULL_DISK)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # of torch
            raise
        _exit_with(OUT_OF_MEMORY)


def _hide_full_disk(error: threading.ExceptHookArgs) -> None:
    """Print the traceback of a thread, but not of TensorBoard's where the disk is full: the main thread says so."""
    if error.exc_value is None or not is_full(error.exc_value):
        threading.__excepthook__(error)


def expand_aliases(arguments: Sequence[str]) -> list[str]:
    """Arguments with aliases replaced by the options they mean, and a voice that comes first put behind ``-v``.

    Exits with one line that names the new option where an old one is used.
    """
    command, *rest = arguments or [""]
    end = rest.index("--") if "--" in rest else len(rest)
    aliases, renamed = ALIASES.get(command, {}), RENAMED_OPTIONS.get(command, {})
    for place, argument in enumerate(rest[:end]):
        option, equals, value = argument.partition("=")
        if option in renamed:
            _exit_with(f"{option}: this option is now {renamed[option]}; see svc {command} --help")
        rest[place] = f"{aliases.get(option, option)}{equals}{value}"
    first = rest[0] if rest and command in VOICE_COMMANDS and not {"-v", "--voice"} & set(rest) else ""
    if first.endswith(".safetensors") or (command == "speakers" and first and not first.startswith("-")):
        rest.insert(0, "-v")
    return [command, *rest] if arguments else []


def _exit_with(message: str) -> NoReturn:
    if progress := sys.modules.get("svc.utils.progress"):
        progress.close_bars()
    typer.echo(f"svc: {printable(message)}", err=True)
    sys.exit(2)
