"""The first to see a request: whom it may come from, and what of the protocol is not spoken here.

A page of any site can have a browser send requests to this machine, with a body that a form could
have. So requests that a browser marks as another site's are refused, and on loopback those that
name a host which is not this machine: a name that its owner lets point here.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from kala_trio import wire

_READING = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """An ASGI application that lets requests through to another one, or answers 403."""

    def __init__(self, app: ASGIFramework, host: str) -> None:
        """Guard ``app``, which is served on the address ``host``."""
        self._app = app
        self._local_only = ip_address(host).is_loopback
        self._host = host

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one connection's request, or its lifespan."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": None})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._objection(scope)
        if problem:
            await _refuse(problem, send)
            return
        if not scope["path"].endswith("/"):
            scope["path"] += "/"

        async def send_whole(message: ASGISendEvent) -> None:
            # Quart's task is cancelled once the last part is on its way, which would keep Hypercorn
            # from closing the connection, or from timing it out.
            with trio.CancelScope(shield=True):
                await send(message)

        await self._app(scope, receive, send_whole)

    def _objection(self, scope: HTTPScope) -> str:
        """Say what keeps a request out; empty where nothing does."""
        headers = {name.decode(): text.decode("latin-1") for name, text in scope["headers"]}
        host = headers.get("host", "")
        if self._local_only and not self._is_here(host):
            return f"Host: is not this machine, found {host[:100]!r}; for example localhost"
        if scope["method"] in _READING:
            return ""
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"Origin: another site may change nothing here, found {origin[:100]!r}"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "Sec-Fetch-Site: another site may change nothing here"
        return ""

    def _is_here(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in ("", "localhost", self._host) or ip_address(name).is_loopback
        except ValueError:
            return False


async def _refuse(problem: str, send: ASGISendCallable) -> None:
    body = wire.encode({"error": problem})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
