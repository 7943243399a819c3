"""The web process: serves the API on the daemon's socket until the daemon closes the door."""

import gc
import logging
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import click
import hypercorn.trio
import trio
from hypercorn import Config

from kala_trio.certificate import Certificate, certificate_of
from kala_trio.core.errors import Refused
from kala_trio.core.messages import Request
from kala_trio.door import Door
from kala_trio.runner.output import output_root
from kala_trio.store.reader import Reader
from kala_trio.tokens import Tokens
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.api import create_app
from kala_trio.web.guard import WHO, Guard
from kala_trio.web.hosts import Hosts

log = logging.getLogger("kala_trio.web.worker")  # which it is not called as a program

_BACKLOG = 4096
# What is due goes before what is asked, also on the processors: by so much is this process nicer.
_NICER = 5
# How long connections are still read from once the door is closed: longer than bodies are awaited.
_LAST_ANSWERS = 3.0
# How long a client may take until TLS has begun, in seconds.
_HANDSHAKE = 10.0


@click.command()
@click.option("--socket-fd", type=int, required=True, help="The listening socket.")
@click.option("--door-fd", type=int, required=True, help="The stream to the scheduler.")
@click.option("--db", type=click.Path(path_type=Path), required=True)
@click.option("--default-owner", default="")
@click.option("--has-mail", is_flag=True)
@click.option("--served-as", multiple=True)
@click.option("--tls-cert", type=click.Path(path_type=Path))
@click.option("--tls-key", type=click.Path(path_type=Path))
def main(  # noqa: PLR0913 - a flag each
    *,
    socket_fd: int,
    door_fd: int,
    db: Path,
    default_owner: str,
    has_mail: bool,
    served_as: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Serve the API; kala-trio starts this by itself."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The daemon says when to end, by closing the door: after the last answer, not on a signal that
    # reached both.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICER)
    try:
        certificate = certificate_of(tls_cert, tls_key)
    except Refused as error:  # the files have changed since the daemon looked
        log.error("TLS cannot be served: %s", error)
        sys.exit(1)
    with socket.socket(fileno=os.dup(socket_fd)) as listener:
        hosts = Hosts.of(listener, served_as)
    serving = Serving(socket_fd, certificate)
    trio.run(_serve, serving, hosts, door_fd, db, Acceptance(default_owner, has_mail))


class Serving(Config):
    """How Hypercorn serves on the listening socket: over TLS, if there is a certificate."""

    def __init__(self, socket_fd: int, certificate: Certificate | None = None) -> None:
        """Serve until the door is closed."""
        super().__init__()
        self._certificate = certificate
        self.bind = [f"fd://{socket_fd}"]
        self.backlog = _BACKLOG
        self.loglevel = "WARNING"
        self.include_server_header = False
        self.graceful_timeout = _LAST_ANSWERS
        self.ssl_handshake_timeout = _HANDSHAKE

    @property
    def ssl_enabled(self) -> bool:
        """Tell whether connections begin with TLS."""
        return self._certificate is not None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """Return what they begin it with."""
        return self._certificate.context if self._certificate else None

    def load_anew(self) -> None:
        """Show the certificate that the files hold now, or the old one if that can't be used."""
        if self._certificate is None:
            log.warning("SIGHUP: there is no certificate to be loaded anew")
            return
        try:
            self._certificate.load_anew()
            log.warning("SIGHUP: the certificate was loaded anew")
        except Refused as error:
            log.error("SIGHUP: the OLD CERTIFICATE is served on: %s", error)


async def _serve(
    serving: Serving, hosts: Hosts, door_fd: int, db: Path, acceptance: Acceptance
) -> None:
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=door_fd)))
    door = Door(stream, serving.load_anew)
    closed = trio.Event()

    async def ask(request: Request) -> None:
        await door.ask(request, WHO.get())

    app = create_app(
        Reader(db),
        ask,
        acceptance=acceptance,
        output=output_root(db),
        is_closing=closed.is_set,
    )
    guarded = Guard(app, hosts, Tokens(db))
    gc.collect()
    gc.freeze()
    async with stream, trio.open_nursery() as nursery:

        async def keep_door() -> None:
            await door.run()
            closed.set()
            await guarded.close()
            nursery.cancel_scope.cancel()

        nursery.start_soon(keep_door)
        await hypercorn.trio.serve(guarded, serving, shutdown_trigger=closed.wait)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()
