"""What is said on a connection: HTTP/1.1 as Hypercorn speaks it, and nothing else.

What can't be understood is answered in JSON, too. HTTP/2 and WebSocket, to which Hypercorn would
change, are passed over where a client offers them: in both it lets one request end the process.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import h11
import trio
from hypercorn import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import ASGIFramework, ASGIReceiveEvent, ASGISendEvent, Scope

from kala_trio import wire

log = logging.getLogger(__name__)

# Parts of a body that wait for the application to take them.
_QUEUE = 10

_SENTENCES = {
    400: "the request is not HTTP/1.1; for example GET /api/v1/job/ HTTP/1.1, with a Host",
    408: "the request did not come in time: its head within 5 s, 64 KiB of its body every 20 s",
    414: "the path and its parameters are too long",
    431: "the headers are too long",
    501: "Transfer-Encoding: must be chunked, or left out",
    503: "too many connections are open; send it again in a while",
}


class Tasks:
    """Where Hypercorn has requests answered."""

    def __init__(self, nursery: trio.Nursery) -> None:
        """Answer in ``nursery``, by a task for each request."""
        self._nursery = nursery

    async def spawn_app(
        self,
        app: ASGIFramework,
        _config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Have ``app`` answer; return what is called with the parts of the request as they come.

        That the client has gone away can always be said, and when the answer is done nobody waits
        for what is left of the request to be taken.
        """
        put, get = trio.open_memory_channel[ASGIReceiveEvent](_QUEUE)

        async def receive() -> Any:
            try:
                return await get.receive()
            except trio.EndOfChannel:
                return {"type": f"{scope['type']}.disconnect"}

        async def answer() -> None:
            with get:
                try:
                    await app(scope, receive, send)
                except Exception:
                    log.exception("a bug while a request was answered")
            await send(None)

        async def deliver(message: ASGIReceiveEvent) -> None:
            if message["type"].endswith(".disconnect"):
                put.close()
            else:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await put.send(message)

        self._nursery.start_soon(answer)
        return deliver


class _Reader(h11.Connection):
    """What reads requests, up to one that said that it was the last."""

    def receive_data(self, data: bytes) -> None:
        """Take what has come, unless nobody is to read it."""
        if self.their_state is not h11.MUST_CLOSE:
            super().receive_data(data)

    def next_event(self) -> Any:
        """Return what comes next: nothing after the last request, whatever follows on it."""
        return h11.NEED_DATA if self.their_state is h11.MUST_CLOSE else super().next_event()


class Protocol(H11Protocol):
    """Hypercorn's HTTP/1.1, with JSON for what it can't read, and without ways out of it."""

    connection: h11.Connection
    _has_refused = False

    def __init__(self, app: Any, config: Config, *rest: Any) -> None:
        """Read from the beginning of a connection."""
        super().__init__(app, config, *rest)
        largest = config.h11_max_incomplete_size
        self.connection = _Reader(h11.SERVER, max_incomplete_event_size=largest)

    @property
    def awaits_body(self) -> bool:
        """Whether something of a body is still to come."""
        return self.connection.their_state is h11.SEND_BODY

    @property
    def has_begun(self) -> bool:
        """Whether some of a head is there, but not all."""
        return bool(self.connection.trailing_data[0])

    @property
    def is_interrupted(self) -> bool:
        """Whether the client may still be sending a request that nobody reads on."""
        return self.awaits_body or self.connection.their_state is h11.ERROR

    async def refuse(self, status: int) -> None:
        """Answer with an error, unless an answer has begun, and close the connection."""
        if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send_error_response(status)
        self._has_refused = True
        await self.send(Closed())

    async def _send_error_response(self, status_code: int) -> None:
        if status_code == 431 and b"\n" not in self.connection.trailing_data[0]:
            status_code = 414
        sentence = _SENTENCES.get(status_code, _SENTENCES[400])
        body = wire.encode({"error": sentence})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *([(b"retry-after", b"1")] if status_code == 503 else []),
            *self.config.response_headers("h11"),
        ]
        self._has_refused = True  # or an application's answer might mix with this
        said = b""
        response = h11.Response(status_code=status_code, headers=headers)
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            with suppress(h11.LocalProtocolError):  # to HEAD there is no body
                said += self.connection.send(event) or b""
        await self.send(RawData(data=said))

    async def _send_h11_event(self, event: Any) -> None:
        if not self._has_refused:  # what an application was about to say comes too late
            await super()._send_h11_event(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Pass over HTTP/2, which Hypercorn would change to."""

    async def _create_stream(self, request: h11.Request) -> None:
        """Have a request answered, without WebSocket, which Hypercorn would change to."""
        if not request.method.isupper():  # Hypercorn would take head for HEAD, which it is not
            await self.refuse(400)
            return
        headers = [each for each in request.headers.raw_items() if each[0].lower() != b"upgrade"]
        method, target, version = request.method, request.target, request.http_version
        plain = h11.Request(method=method, target=target, headers=headers, http_version=version)
        await super()._create_stream(plain)
