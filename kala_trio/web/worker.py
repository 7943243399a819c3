"""The web process: serves the API on the daemon's socket until the daemon closes the door."""

import gc
import logging
import os
import signal
import socket
from pathlib import Path

import click
import h11
import hypercorn.protocol
import hypercorn.trio
import trio
from hypercorn import Config
from hypercorn.events import Closed
from hypercorn.protocol.h11 import H11Protocol

from kala_trio.core.messages import Request
from kala_trio.door import Door
from kala_trio.runner.output import output_root
from kala_trio.store.reader import Reader
from kala_trio.tokens import Tokens
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app
from kala_trio.web.guard import WHO, Guard

_BACKLOG = 4096
# What is due goes before what is asked, also on the processors: by so much is this process nicer.
_NICER = 5
# How long connections are still read from once the door is closed: longer than bodies are awaited.
_LAST_ANSWERS = 3.0


@click.command()
@click.option("--socket-fd", type=int, required=True, help="The listening socket.")
@click.option("--door-fd", type=int, required=True, help="The stream to the scheduler.")
@click.option("--db", type=click.Path(path_type=Path), required=True)
@click.option("--default-owner", default="")
@click.option("--has-mail", is_flag=True)
def main(socket_fd: int, door_fd: int, db: Path, default_owner: str, has_mail: bool) -> None:
    """Serve the API; kala-trio starts this by itself."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The daemon says when to end, by closing the door: after the last answer, not on a signal that
    # reached both.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICER)
    trio.run(_serve, socket_fd, door_fd, db, Acceptance(default_owner, has_mail))


def config_for(socket_fd: int) -> Config:
    """Return how Hypercorn serves on that listening socket."""
    config = Config()
    config.bind = [f"fd://{socket_fd}"]
    config.backlog = _BACKLOG
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.graceful_timeout = _LAST_ANSWERS
    return config


class _Protocol(H11Protocol):
    """HTTP/1.1 as Hypercorn speaks it, and no way out of it: what else is offered is passed over.

    What it would change to, HTTP/2 and WebSocket, ends the process where it is spoken badly.
    """

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1, whatever the client would rather speak."""

    async def _create_stream(self, request: h11.Request) -> None:
        if not request.method.isupper():  # Hypercorn would take head for HEAD, which it is not
            await self._send_error_response(400)
            await self.send(Closed())
            return
        headers = [each for each in request.headers.raw_items() if each[0].lower() != b"upgrade"]
        plain = h11.Request(
            method=request.method,
            target=request.target,
            headers=headers,
            http_version=request.http_version,
        )
        await super()._create_stream(plain)


async def _serve(socket_fd: int, door_fd: int, db: Path, acceptance: Acceptance) -> None:
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=door_fd)))
    door = Door(stream)
    closed = trio.Event()

    with socket.socket(fileno=os.dup(socket_fd)) as listener:
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
    hypercorn.protocol.H11Protocol = _Protocol  # type: ignore[misc]
    guarded = Guard(app, host, Tokens(db))
    gc.collect()
    gc.freeze()
    async with stream, trio.open_nursery() as nursery:

        async def keep_door() -> None:
            await door.run()
            closed.set()
            await guarded.close()
            nursery.cancel_scope.cancel()

        nursery.start_soon(keep_door)
        await hypercorn.trio.serve(guarded, config_for(socket_fd), shutdown_trigger=closed.wait)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()
