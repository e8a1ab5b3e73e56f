"""Origin check: the server answers its own page only, for browsers let every web site send requests to localhost."""

from typing import Any
from urllib.parse import urlsplit

HOSTS = {"127.0.0.1", "localhost"}
REFUSED = b"refused: open the page by the address that svc serve printed"


class OriginCheck:
    """ASGI middleware that refuses requests of other sites, other host names, and file and proxy addresses.

    Args:
        app: answers all other requests.
    """

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan" or _is_allowed(scope):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(REFUSED)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": REFUSED})


def _is_allowed(scope: Any) -> bool:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        same = urlsplit(f"//{host}").hostname in HOSTS and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:
        return False
    path = scope["path"].lower()
    return same and scope["type"] == "http" and "/proxy=" not in path and "file=http" not in path.replace(" ", "")
