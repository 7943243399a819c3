"""The nouns: Job, Progress, Trigger, Run, Attempt, Missed and Queue, as frozen values."""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from kala_trio.core.definition import Definition


class Job(Struct, frozen=True, gc=False):
    """An accepted definition: ``number`` is its place in the order of creation (rule L9)."""

    id: str
    number: int
    created_at: datetime
    definition: Definition


class Occurrence(Struct, frozen=True, gc=False):
    """Instant number ``number`` (k = 0, 1, 2 …) of a schedule; ``at`` is S(k), in UTC."""

    number: int
    at: datetime


class Cause(StrEnum):
    """What may ask for a run."""

    OCCURRENCE = "occurrence"
    MANUAL = "manual"
    PARENT = "parent"
    FAILURE = "failure"
    RERUN = "rerun"


class Trigger(Struct, frozen=True, gc=False):
    """Asks for one run: ``scheduled_at`` is S in the rules.

    ``occurrence`` is the k of a scheduled trigger, ``source`` the id of the run that caused a
    parent's or a failure's trigger, or that a rerun makes up for.
    """

    cause: Cause
    scheduled_at: datetime
    occurrence: int | None = None
    source: str | None = None


class Outcome(StrEnum):
    """How an attempt or a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    STOPPED = "stopped"


class Exited(Struct, frozen=True, tag=True, gc=False):
    """The process ended by itself with ``code``."""

    code: int


class Signalled(Struct, frozen=True, tag=True, gc=False):
    """The process was killed by ``signal``, given by name, and not by kala-trio."""

    signal: str


class NotStarted(Struct, frozen=True, tag=True, gc=False):
    """No process came to be; ``reason`` is the operating system's."""

    reason: str


class Lost(Struct, frozen=True, tag=True, gc=False):
    """The daemon died while the attempt was in progress, so its result is unknown (rule C3)."""


class Stopped(Struct, frozen=True, tag=True, gc=False):
    """The daemon was stopping and ended the attempt after the grace period (rule C4)."""


Result = Exited | Signalled | NotStarted | Lost | Stopped


def outcome_of(result: Result) -> Outcome:
    """Judge a result (rule A1): only exit code 0 is success."""
    match result:
        case Exited(0):
            return Outcome.SUCCEEDED
        case Exited() | Signalled() | NotStarted():
            return Outcome.FAILED
        case Lost():
            return Outcome.LOST
        case Stopped():
            return Outcome.STOPPED
        case _:
            assert_never(result)


def reason_of(result: Result) -> str:
    """Say in words why an attempt did not succeed; empty where it did."""
    match result:
        case Exited(0):
            return ""
        case Exited(code):
            return f"exit code {code}"
        case Signalled(signal):
            return f"killed by {signal}"
        case NotStarted(reason):
            return reason
        case Lost():
            return "the daemon died while it was in progress"
        case Stopped():
            return "stopped with the daemon"
        case _:
            assert_never(result)


class Attempt(Struct, frozen=True, gc=False):
    """One start of a run's process, ``number`` 1, 2, …; ``result`` is None while it goes on."""

    run_id: str
    number: int
    started_at: datetime
    ended_at: datetime | None = None
    result: Result | None = None


class Run(Struct, frozen=True, gc=False):
    """One execution of a job; ``outcome`` is None while it is in progress.

    ``id`` is ``<job id>.<number>``. ``attempts`` counts those started, ``started_at`` is the first
    one's start. ``job_name`` outlives the job (rule M3).
    """

    id: str
    job_id: str
    job_name: str
    number: int
    trigger: Trigger
    started_at: datetime
    attempts: int = 1
    ended_at: datetime | None = None
    outcome: Outcome | None = None


class Reason(StrEnum):
    """Why a trigger was missed."""

    OVERLAP = "overlap"
    EPSILON = "epsilon"
    LATE = "late"
    DOWNTIME = "downtime"
    DISABLED = "disabled"
    DELETED = "deleted"


class Missed(Struct, frozen=True, gc=False):
    """Adjacent missed triggers of one cause and reason, kept as one record (rule L5).

    ``number`` counts a job's records. ``first`` and ``last`` are scheduled times; the occurrence
    numbers are None for other causes.
    """

    job_id: str
    job_name: str
    number: int
    cause: Cause
    reason: Reason
    count: int
    first: datetime
    last: datetime
    last_occurrence: int | None = None


class Queue(Struct, frozen=True, gc=False):
    """The children that the successful run ``run_id`` triggers, first in, first out (rule D2).

    ``position`` is the place in ``children`` of the one whose turn it is.
    """

    run_id: str
    children: tuple[str, ...]
    position: int


class Progress(Struct, frozen=True, gc=False):
    """Where a job stands: all of it that changes as time goes on.

    ``next`` is the least occurrence whose fate is open; ``run_id`` names the run in progress;
    ``runs`` counts runs started, ``finished`` runs ended; ``misses`` counts missed records and
    ``latest_missed`` holds the latest of each cause, to be extended.
    """

    job_id: str
    disabled: bool
    next: Occurrence | None = None
    pending: Trigger | None = None
    run_id: str | None = None
    runs: int = 0
    finished: int = 0
    success_count: int = 0
    error_count: int = 0
    last_success: datetime | None = None
    last_error: datetime | None = None
    last_attempted_run: datetime | None = None
    misses: int = 0
    latest_missed: tuple[Missed, ...] = ()


Value = Job | Progress | Run | Attempt | Missed | Queue
"""All that is kept: each has an identity, and the last of one identity counts."""
