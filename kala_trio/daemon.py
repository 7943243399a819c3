"""The wiring: settings, store, scheduler, runner, signals, and the web process next door."""

import errno
import gc
import logging
import os
import resource
import signal
import socket
import time
from contextlib import closing, suppress
from datetime import timedelta
from ipaddress import ip_address

import click
import trio

from kala_trio import __version__
from kala_trio.clock import WallClock
from kala_trio.core.errors import CannotStart, KalaTrioError, Refused, Unavailable
from kala_trio.core.messages import Command
from kala_trio.core.scheduler import Scheduler
from kala_trio.delivery import Deliveries
from kala_trio.heartbeat import keep_beating
from kala_trio.pruning import Bounds, Pruning
from kala_trio.runner.dispatch import Dispatch
from kala_trio.runner.outbound import Outbound
from kala_trio.runner.output import output_root
from kala_trio.runner.variables import VARIABLES
from kala_trio.settings import Settings
from kala_trio.store.expired import Expired
from kala_trio.store.journal import Journal
from kala_trio.supervisor import Supervisor
from kala_trio.threads import in_thread
from kala_trio.tokens import Tokens
from kala_trio.web_process import keep_web_process

log = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_BACKLOG = 4096
_STANDARD_ERROR = 2
# The web process of a daemon that was killed gives its address back within this time, in seconds.
_ADDRESS_PATIENCE = 3.0
# How many descriptors are wanted: an attempt in progress takes four.
_DESCRIPTORS = 65_536


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain (rule C4).

    Raises:
        CannotStart: the address or the database can't be had.
        Unavailable: the store failed at the start, or when the last outcomes were to be recorded.
    """
    _raise_descriptor_limit()
    _forget_the_parent()
    with (
        closing(Journal(settings.db)) as journal,
        _listen(settings.host, settings.port) as listener,
    ):
        _refuse_to_be_open(settings, listener)
        try:
            trio.run(_serve, settings, journal, listener)
        except BaseExceptionGroup as group:
            expected, bugs = group.split(KalaTrioError)
            if bugs or not expected:
                raise
            raise _first(expected) from group


def _first(group: BaseExceptionGroup[KalaTrioError]) -> KalaTrioError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _forget_the_parent() -> None:
    """Drop what a daemon that runs as a job, or under a careless parent, inherited.

    A run's variables would make the daemon itself an orphan of that run, and where SIGCHLD is
    ignored the system throws exit codes away. Descriptors that it left open would be open in jobs,
    which may outlive both.
    """
    for name in VARIABLES:
        os.environ.pop(name, None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the one that this list was read from is closed by now
            os.set_inheritable(fd, fd <= _STANDARD_ERROR)


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int) -> socket.socket:
    deadline = time.monotonic() + _ADDRESS_PATIENCE
    while True:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(found[4][:2], family=found[0], backlog=_BACKLOG)
        except (OSError, OverflowError, UnicodeError) as error:
            if time.monotonic() > deadline or not _is_taken(error):
                raise CannotStart(
                    f"cannot listen on {host} port {port}: {_why(error)}; "
                    "for example: kala-trio run --host 127.0.0.1 -p 8001"
                ) from error
            time.sleep(0.1)


def _refuse_to_be_open(settings: Settings, listener: socket.socket) -> None:
    """See to it that only who may can have commands run, unless somebody wants it so."""
    host = listener.getsockname()[0]
    if settings.insecure or ip_address(host).is_loopback or Tokens(settings.db).are_asked_for():
        return
    raise CannotStart(
        f"--host: whoever reaches {host} could run commands as you, found {settings.host!r}; "
        "make a token first, kala-trio token new NAME, or say --insecure"
    )


def _is_taken(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _restore(journal: Journal, settings: Settings) -> tuple[Scheduler, list[Command]]:
    """Go on where the last daemon ended; also return the commands with which to begin."""
    try:
        restored = Scheduler.restore(journal.load(), WallClock().now(), settings.limits)
    except Refused as error:
        raise CannotStart(f"database: {settings.db} holds what can't be read: {error}") from error
    # All that was loaded lives long: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    return restored


async def _serve(settings: Settings, journal: Journal, listener: socket.socket) -> None:
    async with trio.open_nursery() as nursery:
        clock = WallClock()
        output = output_root(settings.db)
        outbound = Outbound(settings.targets)
        runner = Dispatch(output, clock, nursery, outbound)
        deliveries = Deliveries(journal, output, clock, outbound, settings.mailer)
        supervisor = Supervisor(
            clock=clock, commit=journal.commit, runner=runner, deliver=deliveries.wake
        )
        await nursery.start(_stop_on_signal, supervisor, runner, settings.grace)
        async with trio.open_nursery() as faces:
            faces.start_soon(keep_web_process, listener, settings, supervisor.ask)
            try:  # in a thread, so that the web process gets ready meanwhile
                scheduler, first = await in_thread(_restore, journal, settings)
            except Unavailable:  # there is none
                scheduler, first = _restore(journal, settings)
            _say_where(settings, listener)
            age, most = timedelta(days=settings.keep_days), settings.keep_output * 1024 * 1024
            bounds = Bounds(age, settings.keep_runs, most)
            pruning = Pruning(journal, Expired(settings.db), output, clock, bounds)
            nursery.start_soon(pruning.run)
            nursery.start_soon(deliveries.run)
            if heartbeat := settings.heartbeat:
                nursery.start_soon(keep_beating, heartbeat, outbound, supervisor.is_well)
            await supervisor.run(scheduler, first)
            await deliveries.finish()
            faces.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


def _say_where(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    click.echo(f"kala-trio {__version__}: http://{address}, database {settings.db}", err=True)


async def _stop_on_signal(
    supervisor: Supervisor,
    runner: Dispatch,
    grace: float,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """Drain on the first signal; after the grace period, or on a second one, end the attempts."""
    # What was ignored from the start (nohup) stays ignored, save the one that is meant for daemons.
    heeded = [
        each
        for each in _STOP_SIGNALS
        if each is signal.SIGTERM or signal.getsignal(each) is not signal.SIG_IGN
    ]
    try:
        with trio.open_signal_receiver(*heeded) as received:
            task_status.started()
            number = await anext(received)
            log.warning("%s: stopping; attempts have %g s", signal.Signals(number).name, grace)
            supervisor.stop()
            with trio.move_on_after(grace):
                await anext(received)
            runner.end_attempts()
            async for _ in received:
                pass
    finally:  # further signals change nothing, to the very end
        for each in heeded:
            signal.signal(each, signal.SIG_IGN)
