"""``svc serve``: convert and fit in the browser."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from svc.cli.app import VOICE_HELP, app
from svc.inference.base_voice import find_voice, name_voice


@app.command()
def serve(
    voice: Annotated[Path | None, typer.Option("-v", "--voice", help=VOICE_HELP)] = None,
    port: Annotated[int, typer.Option("-p", "--port", min=1, max=65535, help="port of 127.0.0.1")] = 7860,
    max_minutes: Annotated[float, typer.Option(min=0.1, max=600, help="length limit of one song or clip")] = 10,
    no_fit: Annotated[bool, typer.Option("--no-fit", help="convert only, without fitting speakers")] = False,
) -> None:
    """Convert songs and fit speakers in the browser.

    Only this machine can open the page.
    """
    from svc.inference.voice_header import read_header
    from svc.utils.optional import check_installed
    from svc.web.limits import Limits
    from svc.web.server import check_port, serve_page

    chosen = find_voice(voice)
    check_installed("gradio", "web")  # this and the next two before torch is imported
    check_port(port)
    read_header(chosen)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to end as by Ctrl-C, leaving nothing behind
    try:
        with serve_page(chosen, port, Limits(minutes=max_minutes), not no_fit) as address:
            typer.echo(f"{name_voice(chosen)} is ready, for songs of {max_minutes:g} minutes at most")
            typer.echo(f"next: open {address}, Ctrl-C ends")
            threading.Event().wait()
    except KeyboardInterrupt:
        typer.echo("ended; uploads, a running fit, and voices that were not downloaded are deleted")
