"""The web process: serves the API on the daemon's socket until the daemon closes the door."""

import gc
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import click
import trio
from hypercorn import Config
from msgspec import Struct

from kala_trio.core.duration import Duration
from kala_trio.core.messages import Request
from kala_trio.door import Door
from kala_trio.runner.output import output_root
from kala_trio.store.reader import Reader
from kala_trio.tokens import Tokens
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app
from kala_trio.web.guard import WHO, Guard
from kala_trio.web.rates import Rates
from kala_trio.web.room import Bounds
from kala_trio.web.serving import serve

# Of what is longer not even the beginning is looked at; what the guard takes is less.
_LARGEST_HEAD = 64 * 1024
# What is due goes before what is asked, also on the processors: by so much is this process nicer.
_NICER = 5
# How long connections are still read from once the door is closed: longer than bodies are awaited.
_LAST_ANSWERS = 3.0


class _Limits(Struct, frozen=True):
    """What clients are held to."""

    connections: Bounds
    rates: Rates


@click.command()
@click.option("--socket-fd", type=int, required=True, help="The listening socket.")
@click.option("--door-fd", type=int, required=True, help="The stream to the scheduler.")
@click.option("--db", type=click.Path(path_type=Path), required=True)
@click.option("--default-owner", default="")
@click.option("--has-mail", is_flag=True)
@click.option("--min-interval", default="", help="An exact duration.")
@click.option("--connections", type=(int, int), default=(2000, 200), help="In all, of one.")
@click.option("--rates", type=(int, int), default=(0, 0), help="Of one, in all.")
def main(socket_fd: int, door_fd: int, db: Path, **flags: Any) -> None:
    """Serve the API; kala-trio starts this by itself."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The daemon says when to end, by closing the door: after the last answer, not on a signal that
    # reached both.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICER)
    least = flags["min_interval"]
    acceptance = Acceptance(
        flags["default_owner"], flags["has_mail"], Duration.parse(least) if least else None
    )
    limits = _Limits(Bounds(*flags["connections"]), Rates(*flags["rates"]))
    trio.run(_serve, socket_fd, door_fd, db, acceptance, limits)


def hypercorn_config() -> Config:
    """Return how Hypercorn is to speak."""
    config = Config()
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.graceful_timeout = _LAST_ANSWERS
    config.h11_max_incomplete_size = _LARGEST_HEAD
    return config


async def _serve(
    socket_fd: int, door_fd: int, db: Path, acceptance: Acceptance, limits: _Limits
) -> None:
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=door_fd)))
    door = Door(stream)
    closed = trio.Event()

    listener = socket.socket(fileno=socket_fd)
    host = listener.getsockname()[0]

    async def ask(request: Request) -> None:
        await door.ask(request, WHO.get())

    app = create_app(
        Reader(db),
        ask,
        acceptance=acceptance,
        output=output_root(db),
        is_closing=closed.is_set,
    )
    guarded = Guard(app, host, Tokens(db), limits.rates)
    gc.collect()
    gc.freeze()
    async with stream, trio.open_nursery() as nursery:

        async def keep_door() -> None:
            await door.run()
            closed.set()
            await guarded.close()
            nursery.cancel_scope.cancel()

        nursery.start_soon(keep_door)
        await serve(guarded, listener, hypercorn_config(), limits.connections, closed.wait)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()
