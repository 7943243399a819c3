"""The first to see a request: it is let through or kept out, and gets a whole answer."""

import math
from typing import assert_never

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
from kala_trio.core.errors import STOPPING
from kala_trio.web.admission import Admission, Objection, Refusal, SignIn
from kala_trio.web.traffic import Traffic

_TOO_LARGE = 413
_PATIENCE = 5.0
# How long a body may still take to arrive when the end has come, in seconds.
_LAST_BODIES = 2.0


class Guard:
    """An ASGI application that lets requests through to another one, or says why it does not.

    A request that it has let in gets a whole answer, whatever is cancelled around it.
    """

    def __init__(self, app: ASGIFramework, admission: Admission, traffic: Traffic) -> None:
        """Guard ``app``; answers are counted in ``traffic``."""
        self._app = app
        self._admission = admission
        self._traffic = traffic
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
        if objection := self._admission.objection(scope):
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
            await _refuse(Refusal(503, STOPPING, 1), send)

    async def _receive_in_time(self, receive: ASGIReceiveCallable) -> ASGIReceiveEvent:
        """Receive a part of a body; when it is too late for that, the client counts as gone."""
        with trio.CancelScope(deadline=self._deadline) as body:
            self._bodies.add(body)
            try:
                return await receive()
            finally:
                self._bodies.remove(body)
        return {"type": "http.disconnect"}


async def _refuse(objection: Objection, send: ASGISendCallable) -> None:
    match objection:
        case SignIn(path):
            status, body, headers = 303, b"", [(b"location", path.encode())]
        case Refusal(status, problem, wait):
            body = wire.encode({"error": problem})
            headers = [(b"content-type", b"application/json")]
            if status == 401:
                headers.append((b"www-authenticate", b"Bearer"))
            if wait:
                headers.append((b"retry-after", b"%d" % math.ceil(wait)))
        case _:
            assert_never(objection)
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
