"""The first to see a request: who may ask, what is not spoken here, and how it all ends.

A page of any site can have a browser send requests to this machine, with a body that a form could
have. So requests that a browser marks as another site's are refused, and on loopback those that
name a host which is not this machine: a name that its owner lets point here.
"""

import math
import re
from collections.abc import Mapping
from contextvars import ContextVar
from ipaddress import ip_address
from urllib.parse import urlsplit

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from kala_trio import wire
from kala_trio.core.errors import STOPPING, Unavailable
from kala_trio.tokens import Role, Tokens

_TOO_LARGE = 413
_PATIENCE = 5.0
# How long a body may still take to arrive when the end has come, in seconds.
_LAST_BODIES = 2.0
_READING = {"GET", "HEAD", "OPTIONS"}
_OPERATING = re.compile(
    r"/api/v1/(?:job/(?:start|enable|disable)|run/cancel)/"
    r"|/webui/job/[^/]+/(?:start|enable|disable)/?$|/webui/run/[^/]+/cancel/?$"
)
_LOOKING = re.compile(r"/webui/preview/?")
# What needs no token: to bring one, or to give it back, and what that page loads.
_OPEN = re.compile(r"/webui/sign-(?:in|out)/?|/static/[^/]+/?")
_SIGN_IN = "/webui/sign-in/"

WHO: ContextVar[str] = ContextVar("who", default="")
"""The name of the token that the request which is answered has brought, if any."""

COOKIE = "kala_trio_token"
"""Where a browser keeps its token."""


class Guard:
    """An ASGI application that lets requests through to another one, or answers 403.

    A request that it has let in gets a whole answer, whatever is cancelled around it.
    """

    def __init__(self, app: ASGIFramework, host: str, tokens: Tokens) -> None:
        """Guard ``app``, which is served on the address ``host`` to who has one of ``tokens``."""
        self._app = app
        self._tokens = tokens
        self._local_only = ip_address(host).is_loopback
        self._host = host
        self._in_progress = 0
        self._idle = trio.Event()
        self._deadline = math.inf
        self._bodies: set[trio.CancelScope] = set()

    async def close(self) -> None:
        """Return once no request is in progress; those whose bodies don't arrive soon get 503."""
        self._deadline = trio.current_time() + _LAST_BODIES
        for body in self._bodies:
            body.deadline = self._deadline
        while self._in_progress:
            self._idle = trio.Event()
            await self._idle.wait()

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
        self._in_progress += 1
        try:
            with trio.CancelScope(shield=True):
                await self._serve(scope, receive, send)
        finally:
            self._in_progress -= 1
            self._idle.set()

    async def _serve(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        status, problem = self._objection(scope)
        if problem:
            await _refuse(status, problem, send)
            return
        if not scope["path"].endswith("/"):
            scope["path"] += "/"

        received, answered = trio.Event(), False

        async def receive_noting() -> ASGIReceiveEvent:
            message = await (receive() if received.is_set() else self._receive_in_time(receive))
            if message["type"] != "http.request" or not message["more_body"]:
                received.set()
            return message

        async def send_noting(message: ASGISendEvent) -> None:
            nonlocal answered
            answered = True
            if message["type"] == "http.response.start" and message["status"] == _TOO_LARGE:
                # Many clients read no answer before they have sent all that they have.
                with trio.move_on_after(_PATIENCE):
                    await received.wait()
            await send(message)

        await self._app(scope, receive_noting, send_noting)
        if not answered and trio.current_time() >= self._deadline:
            await _refuse(503, STOPPING, send)

    async def _receive_in_time(self, receive: ASGIReceiveCallable) -> ASGIReceiveEvent:
        """Receive a part of a body; when it is too late for that, the client counts as gone."""
        with trio.CancelScope(deadline=self._deadline) as body:
            self._bodies.add(body)
            try:
                return await receive()
            finally:
                self._bodies.remove(body)
        return {"type": "http.disconnect"}

    def _objection(self, scope: HTTPScope) -> tuple[int, str]:
        """Say with what status a request is kept out, and why; empty where it is not."""
        if not scope["path"].startswith("/"):
            # What is asked of a proxy would be found by the routes, and not by the rules here.
            found = scope["path"][:100]
            return 400, f"the target must be a path, found {found!r}; for example /api/v1/job/"
        headers = {name.decode(): text.decode("latin-1") for name, text in scope["headers"]}
        if problem := self._foreign(scope, headers):
            return 403, problem
        WHO.set("")
        try:
            return self._unknown(scope, headers)
        except Unavailable as error:
            return 503, str(error)

    def _unknown(self, scope: HTTPScope, headers: Mapping[str, str]) -> tuple[int, str]:
        """Object to who has no token, or none for that."""
        if _OPEN.fullmatch(scope["path"]) or not self._tokens.are_asked_for():
            return 403, ""
        secret = _secret(headers)
        token = self._tokens.find(secret) if secret else None
        if token is None and _is_for_people(scope):
            return 303, f"{_SIGN_IN}?unknown=true" if secret else _SIGN_IN
        if token is None:
            problem = "needs a token that is known here; for example Authorization: Bearer kt_…"
            return 401, f"Authorization: {problem}"
        WHO.set(token.name)
        needed = _role_for(scope["method"], scope["path"])
        if not token.role.covers(needed):
            return 403, f"Authorization: token {token.name!r} may {token.role}, and not {needed}"
        return 403, ""

    def _foreign(self, scope: HTTPScope, headers: Mapping[str, str]) -> str:
        """Object to what a browser sends for a page of another site; empty where it is none."""
        host = headers.get("host", "")
        if self._local_only and not self._is_here(host):
            return f"Host: is not this machine, found {host[:100]!r}; for example localhost"
        if scope["method"] in _READING:
            return ""
        origin = headers.get("origin")
        if origin is not None and not _is_of(origin, host):
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


def _is_of(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _role_for(method: str, path: str) -> Role:
    """Return what a token must allow for such a request."""
    if method in _READING:
        return Role.ADMIN if path.startswith("/api/v1/audit") else Role.READ
    if method == "POST" and _LOOKING.fullmatch(path):
        return Role.READ
    is_operating = method == "POST" and _OPERATING.match(path)
    return Role.OPERATE if is_operating else Role.ADMIN


def _secret(headers: Mapping[str, str]) -> str:
    """Return what a request brings as a token, empty if it brings none."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme:
        return secret.strip() if scheme.lower() == "bearer" else ""
    for each in headers.get("cookie", "").split(";"):
        name, _, value = each.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _is_for_people(scope: HTTPScope) -> bool:
    """Tell whether somebody who has no token is shown where to bring one."""
    is_page = scope["path"] == "/" or scope["path"].startswith("/webui")
    return scope["method"] == "GET" and is_page and not scope["path"].startswith("/webui/events")


async def _refuse(status: int, problem: str, send: ASGISendCallable) -> None:
    body = wire.encode({"error": problem})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 303:
        headers.append((b"location", problem.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
