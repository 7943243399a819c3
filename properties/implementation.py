"""What the S and L properties ask of a scheduler, so that any implementation can be judged by them.

    pytest properties --implementation package.module:factory

``factory()`` returns an ``Implementation``. kala-trio's own is ``properties.kala:Kala``, the
default; ``properties.dateutil_schedules:Dateutil`` is a second one, on other people's arithmetic.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


class Refusal(Exception):
    """A text is not a schedule, or a job not acceptable; ``part`` names what is at fault.

    For a schedule: schedule, repetitions, start, interval, end or time zone (rules S1 to S3).
    """

    def __init__(self, part: str) -> None:
        """Blame ``part``."""
        super().__init__(part)
        self.part = part


class Point(NamedTuple):
    """Occurrence ``k`` of a schedule, and its instant in UTC."""

    k: int
    at: datetime


class Recurrence(Protocol):
    """A schedule that was read from a text."""

    def occurrence(self, k: int) -> datetime | None:
        """Return S(k) in UTC; None where occurrence ``k`` does not exist (S4, S5, S7)."""
        ...

    def next_after(self, t: datetime) -> Point | None:
        """Return the first occurrence later than ``t`` (S6)."""
        ...

    def last_at(self, t: datetime) -> Point | None:
        """Return the last occurrence that is not later than ``t`` (S6)."""
        ...

    def text(self) -> str:
        """Return the canonical text (S8)."""
        ...


class Fate(NamedTuple):
    """A trigger that ran, or waits: its cause, its S, its k where an occurrence is the cause."""

    cause: str
    scheduled_at: datetime
    k: int | None


@dataclass(frozen=True)  # a tuple has a count of its own
class Miss:
    """A record of ``count`` adjacent triggers of one cause that did not run (L5)."""

    cause: str
    reason: str
    count: int
    first: datetime
    last: datetime


class Story(NamedTuple):
    """What became of a job so far.

    ``runs`` are the triggers that started a run, oldest first, each with the instant of its start;
    the last of them is in progress while ``busy``. ``next_run_at`` is None for "never" (L7).
    """

    runs: list[tuple[Fate, datetime]]
    busy: bool
    pending: Fate | None
    missed: list[Miss]
    next_run_at: datetime | None
    is_done: bool


class Scheduling(Protocol):
    """Jobs by name, under a scheduler whose clock is the ``at`` of each call.

    ``at`` never decreases from call to call, unless a property is about just that (C6). Each call
    serves all that is due by then before it returns; the runs that start go on until ``end``.
    """

    def create(
        self,
        job: str,
        at: datetime,
        *,
        schedule: str = "",
        time_zone: str = "",
        epsilon: str = "",
        disabled: bool = False,
        resume_at_next_scheduled_time: bool = False,
    ) -> None:
        """Create a job; raises Refusal."""
        ...

    def look(self, at: datetime) -> None:
        """Let the time be ``at``: all that passed since the last call passed unwatched (L8)."""
        ...

    def next_wake(self) -> datetime | None:
        """Return the instant at which it wants to be called again; None if nothing is to come."""
        ...

    def start(self, job: str, at: datetime) -> None:
        """Start a job by hand (M1)."""
        ...

    def enable(self, job: str, at: datetime) -> None:
        """Enable a job (M2)."""
        ...

    def disable(self, job: str, at: datetime) -> None:
        """Disable a job (M2)."""
        ...

    def end(self, job: str, at: datetime) -> None:
        """Let the job's run in progress end, with success."""
        ...

    def restart(self, at: datetime) -> None:
        """Be back at ``at``, after a stop at the last call; no run is in progress (L4)."""
        ...

    def started(self) -> list[str]:
        """Return the jobs whose runs were started so far, in the order of their starts (L9)."""
        ...

    def story(self, job: str) -> Story:
        """Tell what became of a job."""
        ...


class Implementation(Protocol):
    """What is judged."""

    def parse(self, text: str, time_zone: str, accepted_at: datetime) -> Recurrence:
        """Read a schedule (S1 to S3) that is accepted at that instant; raises Refusal alone."""
        ...

    def scheduling(self) -> Scheduling:
        """Return a scheduler without any job."""
        ...
