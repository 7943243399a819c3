"""Connections are taken from the listening socket, and answered until the end."""

import logging
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from hypercorn import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework
from msgspec import Struct

from kala_trio.web.connection import Connection, Service
from kala_trio.web.room import Bounds, Room

log = logging.getLogger(__name__)

# Descriptors for all but connections: the database, outputs, the door.
_OTHER_DESCRIPTORS = 100
# How many clients may be told at once that there is no room; more are sent away without a word.
_APOLOGIES = 50


class Entrance(Struct, frozen=True):
    """Where clients come in: a listening socket, and TLS if that is how they begin."""

    listener: socket.socket
    tls: ssl.SSLContext | None = None


async def serve(
    app: ASGIFramework,
    entrance: Entrance,
    config: Config,
    bounds: Bounds,
    until: Callable[[], Awaitable[object]],
) -> None:
    """Answer by ``app`` what comes to ``entrance``, until ``until`` returns.

    Then connections that wait for a request are closed, and the others have the time that
    ``config`` gives them.
    """
    context = WorkerContext(None)
    service = Service(app, config, context, entrance.tls)
    room = Room(_within_the_system(bounds))
    apologies = trio.CapacityLimiter(_APOLOGIES)

    async def welcome(stream: trio.SocketStream) -> None:
        try:
            connection = Connection(service, room, stream)
        except OSError:  # it has gone away already
            await trio.aclose_forcefully(stream)
            return
        if room.enter(connection):
            try:
                await connection.run()
            except Exception:  # the others have done nothing wrong
                log.exception("a bug while a connection was served")
        elif apologies.available_tokens:
            async with apologies:
                await connection.turn_away()
        else:
            connection.abort()

    async with trio.open_nursery() as welcoming:
        async with trio.open_nursery() as accepting:
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(entrance.listener))]
            serving = partial(trio.serve_listeners, handler_nursery=welcoming)
            accepting.start_soon(serving, welcome, listeners)
            await until()
            accepting.cancel_scope.cancel()
        await context.terminated.set()
        room.close()
        welcoming.cancel_scope.deadline = trio.current_time() + config.graceful_timeout


def _within_the_system(bounds: Bounds) -> Bounds:
    """Take no more connections than there are descriptors for: so none fails to be accepted."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return bounds
    in_all = min(bounds.in_all, max(most - _OTHER_DESCRIPTORS, 1))
    return Bounds(in_all, min(bounds.of_one, in_all))
