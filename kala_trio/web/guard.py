"""The first to see a request: who may ask, what is not spoken here, and how it all ends.

A page of any site can have a browser send requests to this machine, with a body that a form could
have. So requests that a browser marks as another site's are refused, and those that name a host
which is not this one (``hosts``).
"""

import math
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import NamedTuple
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
from kala_trio.web.hosts import Hosts
from kala_trio.web.peers import HERE, peer_of
from kala_trio.web.rates import Rates, Turnstile
from kala_trio.web.traffic import Traffic

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
# What needs no token: to bring one, or to give it back, what that page loads, and whether it works.
_OPEN = re.compile(r"/webui/sign-(?:in|out)/?|/static/[^/]+/?|/(?:healthz|readyz)/?")
_PROBES = re.compile("/(?:healthz|readyz)/?")
_SIGN_IN = "/webui/sign-in/"
_LONGEST_TARGET = 8_000
_MOST_HEADERS = 100
_LARGEST_HEADERS = 16_000
_TOO_MANY = "too many requests a second; send it again in as many seconds as Retry-After says"
_TOO_MANY_GUESSES = "Authorization: too many unknown tokens; one that is known is heard at any time"
_UNLIMITED = Rates()

WHO: ContextVar[str] = ContextVar("who", default="")
"""The name of the token that the request which is answered has brought, if any."""

COOKIE = "kala_trio_token"
"""Where a browser keeps its token."""


class Objection(NamedTuple):
    """Why a request is kept out: a status, a sentence (or for 303 a place), and for how long."""

    status: int
    problem: str
    wait: float = 0.0


class Guard:
    """An ASGI application that lets requests through to another one, or answers 403.

    A request that it has let in gets a whole answer, whatever is cancelled around it.
    """

    def __init__(
        self,
        app: ASGIFramework,
        hosts: Hosts,
        tokens: Tokens,
        rates: Rates = _UNLIMITED,
        traffic: Traffic | None = None,
    ) -> None:
        """Guard ``app``, which is served on one of ``hosts`` to who has one of ``tokens``.

        Answers are counted in ``traffic``.
        """
        self._app = app
        self._hosts = hosts
        self._traffic = traffic or Traffic()
        self._tokens = tokens
        self._turnstile = Turnstile(rates)
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
                await self._serve(scope, receive, self._traffic.noting(scope, send))
        finally:
            self._in_progress -= 1
            self._idle.set()

    async def _serve(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if objection := self._objection(scope):
            await _refuse(objection, send)
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
            await _refuse(Objection(503, STOPPING, 1), send)

    async def _receive_in_time(self, receive: ASGIReceiveCallable) -> ASGIReceiveEvent:
        """Receive a part of a body; when it is too late for that, the client counts as gone."""
        with trio.CancelScope(deadline=self._deadline) as body:
            self._bodies.add(body)
            try:
                return await receive()
            finally:
                self._bodies.remove(body)
        return {"type": "http.disconnect"}

    def _objection(self, scope: HTTPScope) -> Objection | None:
        """Say why a request is kept out; None where it is not."""
        if too_much := _too_much(scope):
            return too_much
        if not scope["path"].startswith("/"):
            # What is asked of a proxy would be found by the routes, and not by the rules here.
            problem = f"must be a path, found {scope['path'][:100]!r}; for example /api/v1/job/"
            return Objection(400, f"the target {problem}")
        headers = {name.decode(): text.decode("latin-1") for name, text in scope["headers"]}
        WHO.set("")
        try:
            if problem := self._foreign(scope, headers):
                return Objection(403, problem)
            objection = self._unknown(scope, headers)
        except Unavailable as error:
            return Objection(503, str(error), 1)
        # A flood must not look like an end to who would start all anew.
        is_probe = _PROBES.fullmatch(scope["path"])
        wait = 0.0 if is_probe else self._turnstile.wait(WHO.get(), _peer(scope))
        return Objection(429, _TOO_MANY, wait) if wait else objection

    def _unknown(self, scope: HTTPScope, headers: Mapping[str, str]) -> Objection | None:
        """Object to who has no token, or none for that."""
        if _OPEN.fullmatch(scope["path"]) or not self._tokens.are_asked_for():
            return None
        secret = _secret(headers)
        token = self._tokens.find(secret) if secret else None
        if token is None and secret and (wait := self._turnstile.wait_to_guess(_peer(scope))):
            return Objection(429, _TOO_MANY_GUESSES, wait)
        if token is None and _is_for_people(scope):
            return Objection(303, f"{_SIGN_IN}?unknown=true" if secret else _SIGN_IN)
        if token is None:
            problem = "needs a token that is known here; for example Authorization: Bearer kt_…"
            return Objection(401, f"Authorization: {problem}")
        WHO.set(token.name)
        needed = _role_for(scope["method"], scope["path"])
        if not token.role.covers(needed):
            problem = f"Authorization: token {token.name!r} may {token.role}, and not {needed}"
            return Objection(403, problem)
        return None

    def _foreign(self, scope: HTTPScope, headers: Mapping[str, str]) -> str:
        """Object to what a browser sends for a page of another site; empty where it is none."""
        host = headers.get("host", "")
        if problem := self._hosts.objection(host, self._tokens.are_asked_for):
            return problem
        if scope["method"] in _READING:
            return ""
        origin = headers.get("origin")
        if origin is not None and not _is_of(origin, host):
            return f"Origin: another site may change nothing here, found {origin[:100]!r}"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "Sec-Fetch-Site: another site may change nothing here"
        return ""


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


def _peer(scope: HTTPScope) -> str:
    client = scope.get("client")
    return peer_of(client[0]) if client else HERE


def _too_much(scope: HTTPScope) -> Objection | None:
    """Object to a head that is larger than any that is of use here."""
    if scope["http_version"] not in ("1.0", "1.1"):
        return Objection(505, f"HTTP/1.1 is spoken here, found HTTP/{scope['http_version']}")
    target = len(scope["raw_path"]) + len(scope["query_string"])
    if target > _LONGEST_TARGET:
        problem = f"must have {_LONGEST_TARGET} bytes at most, found {target}"
        return Objection(414, f"the path and its parameters: {problem}; for example /api/v1/job/")
    sizes = [len(name) + len(text) for name, text in scope["headers"]]
    count, size = len(sizes), sum(sizes)
    if count > _MOST_HEADERS or size > _LARGEST_HEADERS:
        bounds = f"{_MOST_HEADERS} at most, of {_LARGEST_HEADERS} bytes in all"
        return Objection(431, f"the headers: must be {bounds}, found {count} of {size}")
    return None


async def _refuse(objection: Objection, send: ASGISendCallable) -> None:
    status, problem, wait = objection
    body = wire.encode({"error": problem})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 303:
        headers.append((b"location", problem.encode()))
    if wait:
        headers.append((b"retry-after", b"%d" % math.ceil(wait)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
