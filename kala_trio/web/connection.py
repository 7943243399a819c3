"""One connection: HTTP/1.1 as Hypercorn speaks it, over a socket that is given up in time.

Here, and not in Hypercorn's own server, is how long anything may take: a head, a part of a body, a
part of an answer.
"""

import logging
import math
import socket
import ssl
import struct
from contextlib import suppress
from typing import Any

import trio
from hypercorn import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import parse_socket_addr
from msgspec import Struct

from kala_trio.web.peers import peer_of
from kala_trio.web.protocol import Protocol, Tasks
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
# The kernel keeps no more of an answer than this that is not taken.
_SENDING = 256 * 1024
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Service(Struct, frozen=True):
    """What all connections have in common; they begin with ``tls`` if it is given."""

    app: ASGIFramework
    config: Config
    context: WorkerContext
    tls: ssl.SSLContext | None = None


class Connection:
    """A client, from its coming to its going."""

    def __init__(self, service: Service, room: Room, stream: trio.SocketStream) -> None:
        """Take over ``stream``, on which nothing was said yet; raises OSError if that is gone."""
        self._service = service
        self._room = room
        self._tls = (
            trio.SSLStream(stream, service.tls, server_side=True, https_compatible=True)
            if service.tls
            else None
        )
        self._stream = self._tls or stream
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
            if self._tls and not await self._greets(self._tls):
                return
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
        """Say that there is no room; who has not said a word by then would miss it.

        Over TLS nothing is said: to begin with that is what costs most.
        """
        if self._tls:
            self.abort()
            return
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

    async def _greets(self, tls: trio.SSLStream[trio.SocketStream]) -> bool:
        """Begin with TLS; False if the client does not, or not in time."""
        with (
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
            trio.CancelScope(deadline=self._deadline()),
        ):
            await tls.do_handshake()
            return True
        return False

    def _speak(self, nursery: trio.Nursery) -> Protocol:
        app: Any = self._service.app
        tasks: Any = Tasks(nursery)
        return Protocol(
            app,
            self._service.config,
            self._service.context,
            tasks,
            ConnectionState({}),
            self._tls is not None,
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
            if self._tls:
                await self._tls.aclose()
                return
            await self._stream.send_eof()
            while self._protocol.is_interrupted and await self._stream.receive_some(_PART_SIZE):
                pass
