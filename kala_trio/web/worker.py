"""The web process: serves the API on the daemon's socket until the daemon closes the door."""

import gc
import logging
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio
from hypercorn import Config
from msgspec import Struct

from kala_trio.certificate import Certificate, certificate_of
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Refused
from kala_trio.core.messages import Request
from kala_trio.door import Door
from kala_trio.logs import Log, LogFormat, logged
from kala_trio.runner.output import output_root
from kala_trio.store.reader import Reader
from kala_trio.tokens import Tokens
from kala_trio.web.acceptance import Acceptance
from kala_trio.web.admission import WHO, Admission
from kala_trio.web.api import create_app
from kala_trio.web.exposition import Watch
from kala_trio.web.guard import Guard
from kala_trio.web.hosts import Hosts
from kala_trio.web.rates import Rates
from kala_trio.web.room import Bounds
from kala_trio.web.serving import Entrance, serve
from kala_trio.web.traffic import Traffic

log = logging.getLogger("kala_trio.web.worker")  # which it is not called as a program

# Of what is longer not even the beginning is looked at; what the guard takes is less.
_LARGEST_HEAD = 64 * 1024
# What is due goes before what is asked, also on the processors: by so much is this process nicer.
_NICER = 5
# How long connections are still read from once the door is closed: longer than bodies are awaited.
_LAST_ANSWERS = 3.0


class _Serving(Struct, frozen=True):
    """How clients are served, what they are held to, and where the log goes."""

    hosts: Hosts
    connections: Bounds
    rates: Rates
    certificate: Certificate | None
    lines: Log


@click.command()
@click.option("--socket-fd", type=int, required=True, help="The listening socket.")
@click.option("--door-fd", type=int, required=True, help="The stream to the scheduler.")
@click.option("--db", type=click.Path(path_type=Path), required=True)
@click.option("--default-owner", default="")
@click.option("--log-format", type=click.Choice([each.value for each in LogFormat]), default="text")
@click.option("--has-mail", is_flag=True)
@click.option("--min-interval", default="", help="An exact duration.")
@click.option("--connections", type=(int, int), default=(2000, 200), help="In all, of one.")
@click.option("--rates", type=(int, int), default=(0, 0), help="Of one, in all.")
@click.option("--served-as", multiple=True)
@click.option("--tls-cert", type=click.Path(path_type=Path))
@click.option("--tls-key", type=click.Path(path_type=Path))
def main(socket_fd: int, door_fd: int, db: Path, **flags: Any) -> None:
    """Serve the API; kala-trio starts this by itself."""
    # The daemon says when to end, by closing the door: after the last answer, not on a signal that
    # reached both.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICER)
    least = flags["min_interval"]
    acceptance = Acceptance(
        flags["default_owner"], flags["has_mail"], Duration.parse(least) if least else None
    )
    with logged(LogFormat(flags["log_format"]), verbose=False) as lines:
        try:
            certificate = certificate_of(flags["tls_cert"], flags["tls_key"])
        except Refused as error:  # the files have changed since the daemon looked
            log.error("TLS cannot be served: %s", error)
            sys.exit(1)
        listener = socket.socket(fileno=socket_fd)
        hosts = Hosts.of(listener, flags["served_as"])
        bounds, rates = Bounds(*flags["connections"]), Rates(*flags["rates"])
        serving = _Serving(hosts, bounds, rates, certificate, lines)
        trio.run(_serve, listener, door_fd, db, acceptance, serving)


def hypercorn_config() -> Config:
    """Return how Hypercorn is to speak."""
    config = Config()
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = _LAST_ANSWERS
    config.h11_max_incomplete_size = _LARGEST_HEAD
    return config


async def _serve(
    listener: socket.socket, door_fd: int, db: Path, acceptance: Acceptance, serving: _Serving
) -> None:
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=door_fd)))
    door = Door(stream, partial(_load_anew, serving.certificate))
    closed = trio.Event()

    async def ask(request: Request) -> None:
        await door.ask(request, WHO.get())

    output, traffic = output_root(db), Traffic()
    app = create_app(
        Reader(db),
        ask,
        acceptance=acceptance,
        output=output,
        watch=Watch(
            db,
            output,
            vitals=door.vitals,
            traffic=traffic,
            dropped=lambda: serving.lines.dropped,
            is_closing=closed.is_set,
        ),
    )
    tls = serving.certificate.context if serving.certificate else None
    entrance = Entrance(listener, tls)
    admission = Admission(serving.hosts, Tokens(db), serving.rates)
    guarded = Guard(app, admission, traffic)
    gc.collect()
    gc.freeze()
    async with stream, trio.open_nursery() as nursery:

        async def keep_door() -> None:
            await door.run()
            closed.set()
            await guarded.close()
            nursery.cancel_scope.cancel()

        nursery.start_soon(keep_door)
        await serve(guarded, entrance, hypercorn_config(), serving.connections, closed.wait)
        nursery.cancel_scope.cancel()


def _load_anew(certificate: Certificate | None) -> None:
    """Show the certificate that the files hold now, or the old one if that can't be used."""
    if certificate is None:
        log.warning("SIGHUP: there is no certificate to be loaded anew")
        return
    try:
        certificate.load_anew()
        log.warning("SIGHUP: the certificate was loaded anew")
    except Refused as error:
        log.error("SIGHUP: the OLD CERTIFICATE is served on: %s", error)


if __name__ == "__main__":
    main()
