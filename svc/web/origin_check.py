"""Who may ask the page: the page itself. Browsers let every web site send requests to this machine."""

from typing import Any
from urllib.parse import urlsplit

HOSTS = {"127.0.0.1", "localhost"}
REFUSED = b"refused: open the page by the address that svc serve printed"


class Gate:
    """ASGI middleware that refuses other sites, other names of this machine, and whatever would ask the network.

    Args:
        app: what is behind the gate.
    """

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan" or _admitted(scope):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(REFUSED)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": REFUSED})


def _admitted(scope: Any) -> bool:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        ours = urlsplit(f"//{host}").hostname in HOSTS and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:
        return False
    path = scope["path"].lower()
    return ours and scope["type"] == "http" and "/proxy=" not in path and "file=http" not in path.replace(" ", "")
