"""One connection: HTTP/1.1 as Hypercorn speaks it, over a socket that is given up in time.

Here, and not in Hypercorn's own server, is how long anything may take: a head, a part of a body, a
part of an answer. What can't be understood is answered in JSON, too, and HTTP/1.1 is all that is
spoken: what else a client offers is passed over.
"""

import logging
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import h11
import trio
from hypercorn import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ASGIReceiveEvent, ASGISendEvent, ConnectionState, Scope
from hypercorn.utils import parse_socket_addr

from kala_trio import wire
from kala_trio.web.peers import peer_of
from kala_trio.web.room import Room

log = logging.getLogger(__name__)

# In seconds: until the head of a request is there, from the connection's beginning or from the
# answer before it; and until a part of a body has come, or one of an answer is taken.
_HEAD = 5.0
_PART = 20.0
_PART_SIZE = 64 * 1024
# Nobody keeps more of a body.
_LARGEST_BODY = 8 * 1024 * 1024
# How long a client that still sends may take to read why it need not, in seconds.
_LAST_WORD = 1.0
# Parts of a body that wait for the application to take them.
_QUEUE = 10
# The kernel keeps no more of an answer than this that is not taken.
_SENDING = 256 * 1024
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)

_SENTENCES = {
    400: "the request is not HTTP/1.1; for example GET /api/v1/job/ HTTP/1.1, with a Host",
    408: "the request did not come in time: its head within 5 s, 64 KiB of its body every 20 s",
    414: "the path and its parameters are too long",
    431: "the headers are too long",
    501: "Transfer-Encoding: must be chunked, or left out",
    503: "too many connections are open; send it again in a while",
}


class _Tasks:
    """Where Hypercorn has requests answered."""

    def __init__(self, nursery: trio.Nursery) -> None:
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


class _Protocol(H11Protocol):
    """Hypercorn's HTTP/1.1, with JSON for what it can't read, and without ways out of it."""

    connection: h11.Connection
    _has_refused = False

    def __init__(self, app: Any, config: Config, *rest: Any) -> None:
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


class Connection:
    """A client, from its coming to its going."""

    def __init__(
        self,
        app: ASGIFramework,
        config: Config,
        context: WorkerContext,
        room: Room,
        stream: trio.SocketStream,
    ) -> None:
        """Take over ``stream``, on which nothing was said yet; raises OSError if that is gone."""
        self._app = app
        self._config = config
        self._context = context
        self._room = room
        self._stream = stream
        self._socket = stream.socket
        family = self._socket.family
        self._client = parse_socket_addr(family, self._socket.getpeername())
        self._server = parse_socket_addr(family, self._socket.getsockname())
        self.peer = peer_of(self._client[0] if self._client else "")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING)
        self._sending = trio.Lock()
        self._is_over = False
        self._reading: trio.CancelScope | None = None
        self._waits = True
        self._since = trio.current_time()  # it waits, or a part of a body is awaited
        self._body = 0
        self._part = 0

    async def run(self) -> None:
        """Answer its requests until it, or one of the limits here, ends that."""
        try:
            async with trio.open_nursery() as nursery:
                self._protocol = self._speak(nursery)
                while not self._is_over:
                    await self._read_on()
                await self._protocol.handle(Closed())
            with trio.CancelScope(shield=True):
                await self._say_goodbye()
        finally:
            self._room.leave(self)
            self._socket.close()

    async def turn_away(self) -> None:
        """Say that there is no room; who has not said a word by then would miss it."""
        try:
            async with trio.open_nursery() as nursery:
                self._protocol = self._speak(nursery)
                with suppress(trio.BrokenResourceError), trio.move_on_after(_LAST_WORD):
                    await self._stream.receive_some(_PART_SIZE)
                await self._protocol.refuse(503)
        finally:
            self._socket.close()

    def abort(self) -> None:
        """Close it at once, with all that is on its way."""
        self._is_over = True
        with suppress(OSError):
            # Else the kernel would keep for minutes what nobody takes.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._socket.close()

    def _speak(self, nursery: trio.Nursery) -> _Protocol:
        tasks: Any = _Tasks(nursery)
        app: Any = self._app
        return _Protocol(
            app,
            self._config,
            self._context,
            tasks,
            ConnectionState({}),
            False,
            self._client,
            self._server,
            self._handle,
        )

    async def _read_on(self) -> None:
        """Read once, and do what that leads to."""
        with trio.CancelScope(deadline=self._deadline()) as self._reading:
            try:
                data = await self._stream.receive_some(_PART_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._is_over = True
                return
        if self._is_over:
            return
        if self._reading.cancelled_caught:
            if self._waits and not self._protocol.has_begun:
                self._is_over = True
            else:
                await self._protocol.refuse(408)
            return
        if self._protocol.awaits_body:
            self._count(len(data))
        await self._protocol.handle(RawData(bytes(data)))
        self._is_over |= not data

    def _deadline(self) -> float:
        """Return until when something has to come."""
        if self._waits:
            return self._since + _HEAD
        return self._since + _PART if self._protocol.awaits_body else math.inf

    def _count(self, size: int) -> None:
        """Count what has come of a body."""
        self._body = min(self._body + size, _LARGEST_BODY)
        self._room.hold(self, self._body)
        self._part += size
        if self._part >= _PART_SIZE:
            self._part, self._since = 0, trio.current_time()

    async def _handle(self, event: Event) -> None:
        """Do what the protocol says."""
        match event:
            case RawData():
                await self._send(event.data)
            case Updated(idle=idle):
                self._waits = idle
                self._since, self._body, self._part = trio.current_time(), 0, 0
                if idle:
                    self._room.wait(self)
                else:
                    self._room.serve(self)
                if self._reading is not None:
                    self._reading.deadline = self._deadline()
            case Closed():
                self._is_over = True
                if self._reading is not None:
                    self._reading.cancel()
                await self._protocol.handle(Closed())

    async def _send(self, data: bytes) -> None:
        """Send all of that, each part of it in time, or give up the connection."""
        if not data:
            return
        parts = memoryview(data)
        async with self._sending:
            self._room.hold(self, self._body + len(data))
            for start in range(0, len(data), _PART_SIZE):
                with trio.move_on_after(_PART, shield=True) as in_time:
                    try:
                        await self._stream.send_all(parts[start : start + _PART_SIZE])
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        break
                if in_time.cancelled_caught:
                    self.abort()
                    break
            else:
                self._room.hold(self, self._body)
                return
        await self._handle(Closed())

    async def _say_goodbye(self) -> None:
        """Let a client that still sends read the answer: to close at once might take it away."""
        with (
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
            trio.move_on_after(_LAST_WORD),
        ):
            await self._stream.send_eof()
            while self._protocol.is_interrupted and await self._stream.receive_some(_PART_SIZE):
                pass
