"""The nouns: Job, Progress, Trigger, Run, Attempt, Missed and Queue, as frozen values."""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from kala_trio.core.definition import Definition, News


class Job(Struct, frozen=True, gc=False):
    """An accepted definition: ``number`` is its place in the order of creation (rule L9).

    ``rescheduled_at`` is when an edit last changed its schedule, None if none did (rule M4).
    """

    id: str
    number: int
    created_at: datetime
    definition: Definition
    rescheduled_at: datetime | None = None

    @property
    def scheduled_from(self) -> datetime:
        """When its schedule was accepted: no occurrence before that runs (rule S9)."""
        return self.rescheduled_at or self.created_at


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
    TIMED_OUT = "timed_out"
    LOST = "lost"
    STOPPED = "stopped"
    CANCELLED = "cancelled"

    @property
    def is_failure(self) -> bool:
        """Whether it counts as an error; a run that is cancelled is neither that nor a success."""
        match self:
            case Outcome.FAILED | Outcome.TIMED_OUT | Outcome.LOST | Outcome.STOPPED:
                return True
            case Outcome.SUCCEEDED | Outcome.CANCELLED:
                return False
            case _:
                assert_never(self)


class Exited(Struct, frozen=True, tag=True, gc=False):
    """The process ended by itself with ``code``."""

    code: int


class Signalled(Struct, frozen=True, tag=True, gc=False):
    """The process was killed by ``signal``, given by name, and not by kala-trio."""

    signal: str


class NotStarted(Struct, frozen=True, tag=True, gc=False):
    """No process came to be; ``reason`` is the operating system's."""

    reason: str


class TimedOut(Struct, frozen=True, tag=True, gc=False):
    """It took longer than its job's timeout, and kala-trio ended it (rule A5)."""


class Answered(Struct, frozen=True, tag=True, gc=False):
    """The request was answered with ``status``, which the job expected or did not (rule Q2)."""

    status: int
    is_expected: bool


class NoAnswer(Struct, frozen=True, tag=True, gc=False):
    """No whole answer came to the request; ``reason`` says why, and what to do about it."""

    reason: str


class Lost(Struct, frozen=True, tag=True, gc=False):
    """The daemon died while the attempt was in progress, so its result is unknown (rule C3)."""


class Stopped(Struct, frozen=True, tag=True, gc=False):
    """The daemon was stopping and ended the attempt after the grace period (rule C4)."""


class Cancelled(Struct, frozen=True, tag=True, gc=False):
    """Its run was cancelled, by hand or for another one, and kala-trio ended it (rule M6)."""


Result = (
    Exited | Signalled | NotStarted | Answered | NoAnswer | TimedOut | Lost | Stopped | Cancelled
)


def outcome_of(result: Result) -> Outcome:
    """Judge a result (rule A1): only exit code 0 and an expected status are success."""
    match result:
        case Exited(0) | Answered(is_expected=True):
            return Outcome.SUCCEEDED
        case Exited() | Signalled() | NotStarted() | Answered() | NoAnswer():
            return Outcome.FAILED
        case TimedOut():
            return Outcome.TIMED_OUT
        case Lost():
            return Outcome.LOST
        case Stopped():
            return Outcome.STOPPED
        case Cancelled():
            return Outcome.CANCELLED
        case _:
            assert_never(result)


def reason_of(result: Result) -> str:
    """Say in words why an attempt did not succeed; empty where it did."""
    match result:
        case Exited(0) | Answered(is_expected=True):
            reason = ""
        case Exited(code):
            reason = f"exit code {code}"
        case Signalled(signal):
            reason = f"killed by {signal}"
        case Answered(status):
            reason = f"status {status}, which is not among expected_response_codes"
        case NotStarted(reason) | NoAnswer(reason):
            pass
        case TimedOut():
            reason = "took longer than its timeout"
        case Lost():
            reason = "the daemon died while it was in progress"
        case Stopped():
            reason = "stopped with the daemon"
        case Cancelled():
            reason = "cancelled"
        case _:
            assert_never(result)
    return reason


class Attempt(Struct, frozen=True, gc=False):
    """One start of a run's process, or one request of it.

    ``number`` is 1, 2, …; ``result`` is None while it goes on.
    """

    run_id: str
    number: int
    started_at: datetime
    ended_at: datetime | None = None
    result: Result | None = None


class Ending(StrEnum):
    """Why a run is being ended before its time (rules M6, L10)."""

    BY_HAND = "cancelled by hand"
    REPLACED = "replaced by a newer one"


class Pause(Struct, frozen=True, gc=False):
    """The time from the end of a run's last attempt to its next (rule A6).

    ``outcome`` is that attempt's.
    """

    since: datetime
    until: datetime
    outcome: Outcome


class Run(Struct, frozen=True, gc=False):
    """One execution of a job; ``outcome`` is None while it is in progress.

    ``id`` is ``<job id>.<number>``. ``attempts`` counts those started, ``started_at`` is the first
    one's start. ``job_name`` outlives the job (rule M3). ``ending`` is there as soon as it is to
    end, and ``pause`` between attempts.
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
    ending: Ending | None = None
    pause: Pause | None = None


class Reason(StrEnum):
    """Why a trigger was missed."""

    OVERLAP = "overlap"
    EPSILON = "epsilon"
    LATE = "late"
    DOWNTIME = "downtime"
    DISABLED = "disabled"
    DELETED = "deleted"
    EDITED = "edited"


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


class Channel(StrEnum):
    """How somebody is told."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    PING = "ping"


class Notice(Struct, frozen=True, gc=False):
    """Something that ``receiver`` is to be told of a job, decided on at ``at`` (rules N1 to N5).

    ``number`` counts a job's notices. ``run_id`` is None for what is late: then ``scheduled_at`` is
    what no success has answered, and ``reason`` says why. ``streak`` counts the runs that failed in
    a row until then.
    """

    job_id: str
    number: int
    job_name: str
    channel: Channel
    receiver: str
    news: News
    at: datetime
    run_id: str | None
    scheduled_at: datetime
    streak: int = 0
    reason: str = ""


class Standing(Struct, frozen=True, gc=False):
    """What those who are told of a job know of it already (rules N2, N4).

    ``streak`` counts the runs that failed since the last success. ``expected`` is the oldest S that
    no success has answered yet, None where none is expected; ``is_late`` is whether that was told.
    Of a job without schedule ``asked`` is the latest S that was asked for, and ``since`` is from
    when on what is asked for is expected. ``notices`` counts what was told in all.
    """

    streak: int = 0
    expected: datetime | None = None
    is_late: bool = False
    notices: int = 0
    asked: datetime | None = None
    since: datetime | None = None


class Progress(Struct, frozen=True, gc=False):
    """Where a job stands: all of it that changes as time goes on.

    ``next`` is the least occurrence whose fate is open; ``running`` names the runs in progress, in
    the order of their starts; ``runs`` counts runs started, ``finished`` runs ended; ``misses``
    counts missed records and ``latest_missed`` holds the latest of each cause, to be extended.
    ``version`` counts what was changed by hand (rule M5). ``parents_done`` names the parents that
    succeeded since the last run, for a job that waits for all of them (rule D10).
    """

    job_id: str
    disabled: bool
    next: Occurrence | None = None
    pending: Trigger | None = None
    running: tuple[str, ...] = ()
    runs: int = 0
    finished: int = 0
    success_count: int = 0
    error_count: int = 0
    last_success: datetime | None = None
    last_error: datetime | None = None
    last_attempted_run: datetime | None = None
    misses: int = 0
    latest_missed: tuple[Missed, ...] = ()
    version: int = 1
    parents_done: tuple[str, ...] = ()
    standing: Standing = Standing()


Value = Job | Progress | Run | Attempt | Missed | Queue | Notice
"""All that is kept: each has an identity, and the last of one identity counts."""
