"""What a simulation tells: a closed union, each written as JSON with its kind under ``what``."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from kala_trio.core.job import Cause, Outcome, Reason


class Why(StrEnum):
    """What a pending trigger waits for: its own job, a limit (rule L12), the next start (C4)."""

    BUSY = "busy"
    LIMIT = "limit"
    DOWN = "down"


class OfJob(Struct, frozen=True, gc=False, tag_field="what"):
    """What happened at the instant ``at``, in UTC, and to which job."""

    at: datetime
    job_id: str
    job_name: str


class Started(OfJob, frozen=True, gc=False, tag="started"):
    """An attempt started: ``number`` is its run's, ``source`` the id of the run that caused it."""

    run_id: str
    number: int
    attempt: int
    cause: Cause
    scheduled_at: datetime
    source: str | None = None


class AttemptFailed(OfJob, frozen=True, gc=False, tag="attempt_failed"):
    """An attempt failed, and its run goes on: its next attempt starts at ``next_attempt_at``."""

    run_id: str
    number: int
    attempt: int
    reason: str
    next_attempt_at: datetime


class Ended(OfJob, frozen=True, gc=False, tag="ended"):
    """A run ended after so many ``attempts``; ``reason`` is empty where it succeeded."""

    run_id: str
    number: int
    attempts: int
    outcome: Outcome
    reason: str
    started_at: datetime
    ended_at: datetime


class MissedSome(OfJob, frozen=True, gc=False, tag="missed"):
    """Adjacent triggers were missed: ``first`` and ``last`` are their scheduled times."""

    cause: Cause
    reason: Reason
    count: int
    first: datetime
    last: datetime


class Waiting(OfJob, frozen=True, gc=False, tag="waiting"):
    """A trigger has become pending."""

    why: Why
    cause: Cause
    scheduled_at: datetime


class Late(OfJob, frozen=True, gc=False, tag="late"):
    """No success came within ``expect_within`` of ``scheduled_at`` (rule N4)."""

    scheduled_at: datetime


class WentDown(Struct, frozen=True, gc=False, tag_field="what", tag="down"):
    """The daemon was told to stop."""

    at: datetime


class CameUp(Struct, frozen=True, gc=False, tag_field="what", tag="up"):
    """The daemon started again."""

    at: datetime


Happening = Started | AttemptFailed | Ended | MissedSome | Waiting | Late | WentDown | CameUp
"""All there is to tell, in the order of time."""
