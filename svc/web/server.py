"""Web server of the page, on this machine only."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from svc.errors import DataError
from svc.utils.optional import import_optional
from svc.web.limits import Limits
from svc.web.origin_check import OriginCheck

HOST = "127.0.0.1"


@contextmanager
def serve_page(voice: Path, port: int, limits: Limits, fitting: bool = True) -> Iterator[str]:
    """Serve the page of a voice while the block lasts, at the address that is yielded.

    Raises:
        MissingExtra: gradio is not installed.
        WeightsError: the voice is refused.
    """
    with tempfile.TemporaryDirectory(prefix="svc-serve-", ignore_cleanup_errors=True) as folder:
        _set_gradio_environment(Path(folder).resolve() / "served")
        gr = import_optional("gradio", "web")
        middleware = import_optional("starlette.middleware", "web").Middleware
        from svc.web.page import CSS, build, theme
        from svc.web.service import Service

        service = Service(voice, Path(folder).resolve(), limits)
        page = build(gr, service, fitting)
        try:
            page.launch(
                server_name=HOST, server_port=port, share=False, inbrowser=False, prevent_thread_lock=True, quiet=True,
                show_error=False, max_file_size=limits.bytes, ssr_mode=False, mcp_server=False, pwa=False,
                enable_monitoring=False, run_history=False, footer_links=[], num_workers=0,
                theme=theme(gr), css=CSS, app_kwargs={"middleware": [middleware(OriginCheck)]},
            )  # fmt: skip
            yield f"http://{HOST}:{port}"
        finally:
            service.cancel_fit()
            page.close(verbose=False)


def check_port(port: int) -> None:
    """Refuse a port that is in use.

    Raises:
        DataError: it is in use or reserved.
    """
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            ours.bind((HOST, port))
        except OSError as error:
            raise DataError(f"--port {port}: cannot be used ({error.strerror}); give another") from None


def _set_gradio_environment(served: Path) -> None:
    """Let gradio keep its files there and send nothing outside; it reads these variables when it is imported."""
    os.environ.pop("GRADIO_ALLOWED_PATHS", None)
    os.environ.update(
        GRADIO_TEMP_DIR=str(served),
        GRADIO_EXAMPLES_CACHE=str(served / "examples"),
        GRADIO_ANALYTICS_ENABLED="False",
        HF_HUB_OFFLINE="1",
        NO_PROXY=f"{os.environ.get('NO_PROXY', '')},{HOST}",  # it requests its own page at the start
    )
