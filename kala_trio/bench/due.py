"""Jobs that come due while somebody looks: at one instant, or so many a second; and how late."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from math import ceil
from pathlib import Path

from msgspec import Struct

from kala_trio.bench.databases import idle_jobs
from kala_trio.bench.place import Place, written
from kala_trio.bench.service import Service, running
from kala_trio.core.definition import CatchUp, Definition, Policy
from kala_trio.core.errors import CannotStart

_PATIENCE = 60.0
# How long a daemon is left alone before something is due, in seconds.
_QUIET = 0.5
_MARGINS = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
# What a database takes to make and to load, in seconds a job; more is found out by trying.
_EACH = 0.0005


class Due(Struct, frozen=True):
    """A daemon that has just started, and what comes due: from ``first`` on, in seconds."""

    service: Service
    first: float
    log: Path


@contextmanager
def coming_due(
    place: Place, define: Callable[[float, str], Iterable[Definition]], count: int, idle: int = 0
) -> Iterator[Due]:
    """Run a daemon that has ``count`` jobs, which ``define`` makes, and ``idle`` ones beside.

    ``define`` is given the first instant and the command to run.
    """
    for margin in _MARGINS:
        with place.empty() as directory:
            log = directory / "log"
            command = " ".join(place.programs.command(log))
            first = float(ceil(time.time() + margin + (count + idle) * _EACH))
            jobs = chain(define(first, command), idle_jobs(idle))
            with place.database(jobs) as db, running(db) as service:
                if time.time() < first - _QUIET:
                    yield Due(service, first, log)
                    return
    raise CannotStart(f"a daemon of {count + idle} jobs takes too long to start on this machine")


def at_once(count: int) -> Callable[[float, str], Iterable[Definition]]:
    """Define so many jobs that are due at one instant."""

    def define(first: float, command: str) -> Iterable[Definition]:
        schedule = f"R0/{written(first)}/PT1S"
        return (Definition(f"at once {n}", command, schedule=schedule) for n in range(count))

    return define


def steadily(a_second: int) -> Callable[[float, str], Iterable[Definition]]:
    """Define jobs of which so many are due in each second, at equal distances, without end."""

    def define(first: float, command: str) -> Iterable[Definition]:
        # On a machine that stands still for seconds runs are to be late, and not to be missing.
        policy = Policy(catch_up=CatchUp.ALL)
        return (
            Definition(
                f"steady {n}",
                command,
                schedule=f"R/{written(first + n / a_second)}/PT1S",
                policy=policy,
            )
            for n in range(a_second)
        )

    return define


def lateness(place: Place, due: Due, begin: float, end: float, expected: int) -> list[float]:
    """Wait until all have started that were due from ``begin`` to before ``end``; in ms."""
    deadline = time.monotonic() + _PATIENCE + end - begin
    while True:
        time.sleep(max(0.1, end + 0.3 - time.time()))
        late = [
            1000 * (at - instant)
            for instant, starts in place.programs.starts(due.service.db, due.log).items()
            if begin - 1e-6 <= instant < end - 1e-6
            for at in starts
        ]
        if len(late) >= expected:
            return late
        if time.monotonic() > deadline:
            raise CannotStart(f"of {expected} runs that were due only {len(late)} have started")


def window(place: Place, due: Due, a_second: int, seconds: float) -> list[float]:
    """Return the latenesses of a steady load for so many whole seconds from the next one on."""
    begin = max(due.first, float(int(time.time()) + 1))
    whole = max(1, round(seconds))
    return lateness(place, due, begin, begin + whole, a_second * whole)
