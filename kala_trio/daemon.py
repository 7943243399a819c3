"""The wiring: settings, store, scheduler, runner, signals, and the web process next door."""

import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial

import trio
from msgspec.structs import replace

from kala_trio import __version__
from kala_trio.certificate import certificate_of
from kala_trio.clock import WallClock
from kala_trio.core.errors import CannotStart, KalaTrioError, Refused, Unavailable
from kala_trio.core.messages import Command
from kala_trio.core.scheduler import Scheduler
from kala_trio.core.slots import Limits
from kala_trio.delivery import Deliveries
from kala_trio.door import Inside, Reload
from kala_trio.exposure import exposed
from kala_trio.heartbeat import keep_beating
from kala_trio.listener import listening, url_of
from kala_trio.logs import Log
from kala_trio.pruning import Bounds, Pruning
from kala_trio.runner.dispatch import Dispatch
from kala_trio.runner.outbound import Outbound
from kala_trio.runner.output import output_root
from kala_trio.runner.variables import VARIABLES
from kala_trio.settings import PREFIX, Settings
from kala_trio.store.expired import Expired
from kala_trio.store.journal import Journal
from kala_trio.supervisor import Supervisor
from kala_trio.systemd import ServiceManager
from kala_trio.threads import in_thread
from kala_trio.vitals import Counting, Vitals
from kala_trio.web_process import keep_web_process

log = logging.getLogger(__name__)

_STANDARD_ERROR = 2
# What the jobs' environment need not tell them: where the key of TLS is.
_OWN = (f"{PREFIX}TLS_CERT", f"{PREFIX}TLS_KEY")
# How many descriptors are wanted: an attempt in progress takes four.
_DESCRIPTORS = 65_536
# A stop takes the grace period and so many seconds at most.
_ENDING = 20.0


def run(settings: Settings, log_lines: Log) -> None:
    """Serve until SIGTERM or SIGINT, then drain (rule C4); log to ``log_lines``.

    Raises:
        CannotStart: the address or the database can't be had.
        Refused: the certificate or its key can't be used, or not there.
        Unavailable: the store failed at the start, or when the last outcomes were to be recorded.
    """
    _raise_descriptor_limit()
    _forget_the_parent()
    service_manager = ServiceManager.of(os.environ)
    _refuse_broken_tls(settings)
    with closing(Journal(settings.db)) as journal, listening(settings) as listener:
        try:
            trio.run(_serve, settings, journal, listener, log_lines, service_manager)
        except BaseExceptionGroup as group:
            expected, bugs = group.split(KalaTrioError)
            if bugs or not expected:
                raise
            raise _first(expected) from group


def _refuse_broken_tls(settings: Settings) -> None:
    """See to it that a certificate can be served with; the web process loads it for itself."""
    if settings.socket and settings.tls_cert:
        problem = "has no use for TLS, since no other machine reaches it"
        raise Refused(
            "--socket", problem, found=str(settings.socket), example="one without --tls-cert"
        )
    certificate_of(settings.tls_cert, settings.tls_key)


def _first(group: BaseExceptionGroup[KalaTrioError]) -> KalaTrioError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _forget_the_parent() -> None:
    """Drop what a daemon that runs as a job, or under a careless parent, inherited.

    A run's variables would make the daemon itself an orphan of that run, and where SIGCHLD is
    ignored the system throws exit codes away. Descriptors that it left open would be open in jobs,
    which may outlive both.
    """
    for name in (*VARIABLES, *_OWN):
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


def _restore(
    journal: Journal, settings: Settings, counting: Counting
) -> tuple[Scheduler, list[Command]]:
    """Go on where the last daemon ended; also return the commands with which to begin."""
    try:
        snapshot = journal.load()
        counting.know(snapshot)
        restored = Scheduler.restore(snapshot, WallClock().now(), settings.limits)
    except Refused as error:
        raise CannotStart(f"database: {settings.db} holds what can't be read: {error}") from error
    # All that was loaded lives long: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    return restored


async def _serve(
    settings: Settings,
    journal: Journal,
    listener: socket.socket,
    lines: Log,
    service_manager: ServiceManager,
) -> None:
    async with trio.open_nursery() as nursery:
        clock, counting = WallClock(), Counting()
        output = output_root(settings.db)
        outbound = Outbound(settings.targets)
        runner = Dispatch(output, clock, nursery, outbound)
        deliveries = Deliveries(journal, output, clock, outbound, settings.mailer)
        counting.tally.notices = deliveries.counts
        supervisor = Supervisor(
            clock=clock,
            commit=journal.commit,
            runner=runner,
            deliver=deliveries.wake,
            counting=counting,
        )
        vitals = partial(_vitals, supervisor, settings.limits, lines)
        drain = partial(_drain, supervisor, service_manager, settings.grace)
        reloads = trio.open_memory_channel[Reload](1)
        stops = [signal.SIGTERM, signal.SIGINT]
        if _has_terminal():
            stops.append(signal.SIGHUP)
        else:
            await nursery.start(_reload_on_signal, reloads[0], service_manager)
        await nursery.start(_stop_on_signal, stops, drain, runner, settings.grace)
        async with trio.open_nursery() as faces:
            inside = Inside(supervisor.ask, vitals, reloads[1])
            faces.start_soon(keep_web_process, listener, settings, inside)
            try:  # in a thread, so that the web process gets ready meanwhile
                scheduler, first = await in_thread(_restore, journal, settings, counting)
            except Unavailable:  # there is none
                scheduler, first = _restore(journal, settings, counting)
            _say_where(settings, listener, lines)
            age, most = timedelta(days=settings.keep_days), settings.keep_output * 1024 * 1024
            bounds = Bounds(age, settings.keep_runs, most)
            pruning = Pruning(journal, Expired(settings.db), output, clock, bounds)
            nursery.start_soon(pruning.run)
            nursery.start_soon(deliveries.run)
            if heartbeat := settings.heartbeat:
                nursery.start_soon(keep_beating, heartbeat, outbound, supervisor.is_well)
            if service_manager.address:
                nursery.start_soon(service_manager.keep_told, vitals)
            await supervisor.run(scheduler, first, ready=service_manager.ready)
            await deliveries.finish()
            faces.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


def _vitals(supervisor: Supervisor, limits: Limits, lines: Log) -> Vitals:
    """Return what the supervisor knows of itself, and what else is to be shown beside it."""
    more = {"limit": limits.total, "limits": limits.tags, "dropped_lines": lines.dropped}
    return replace(supervisor.vitals(), **more)


def _drain(supervisor: Supervisor, service_manager: ServiceManager, grace: float) -> None:
    service_manager.stopping(grace + _ENDING)
    supervisor.stop()


def _say_where(settings: Settings, listener: socket.socket, lines: Log) -> None:
    url = url_of(settings, listener)
    text = f"kala-trio {__version__}: {url}, database {settings.db}"
    lines.say(text, version=__version__, url=url, database=str(settings.db))
    for sentence in exposed(settings.db):
        log.warning("%s", sentence)


def _has_terminal() -> bool:
    """Tell whether SIGHUP may come from a terminal that is closed; else somebody has sent it."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _heeded(number: signal.Signals) -> bool:
    """Tell whether it was not ignored from the start, as by nohup; SIGTERM is meant for daemons."""
    return number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN


async def _reload_on_signal(
    reloads: trio.MemorySendChannel[Reload],
    service_manager: ServiceManager,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """Have the web process load anew what can be, at each SIGHUP."""
    if not _heeded(signal.SIGHUP):
        task_status.started()
        return
    try:
        with trio.open_signal_receiver(signal.SIGHUP) as received:
            task_status.started()
            async for _ in received:
                with suppress(trio.WouldBlock):  # one is on its way
                    reloads.send_nowait(Reload())
                service_manager.reloading()
                service_manager.ready()  # what is left goes on next door
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def _stop_on_signal(
    stops: list[signal.Signals],
    drain: Callable[[], None],
    runner: Dispatch,
    grace: float,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """Drain on the first signal; after the grace period, or on a second one, end the attempts."""
    heeded = [each for each in stops if _heeded(each)]
    try:
        with trio.open_signal_receiver(*heeded) as received:
            task_status.started()
            number = await anext(received)
            log.warning("%s: stopping; attempts have %g s", signal.Signals(number).name, grace)
            drain()
            with trio.move_on_after(grace):
                await anext(received)
            runner.end_attempts()
            async for _ in received:
                pass
    finally:  # further signals change nothing, to the very end
        for each in heeded:
            signal.signal(each, signal.SIG_IGN)
