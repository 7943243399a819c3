"""Whether and when a failed attempt is followed by another: rules A1, A2, A6 and A7."""

from datetime import datetime, timedelta
from hashlib import blake2b

from kala_trio.core.definition import Retrying
from kala_trio.core.duration import Duration
from kala_trio.core.job import Exited, Job, Outcome, Result, Run, outcome_of
from kala_trio.core.occurrences import in_time

# Longer than any delay that is accepted, and short enough to be added to an instant.
_LONGEST = 3650 * 86_400 * 1_000_000
_HASHES = 1 << 64


def next_attempt_at(
    job: Job, run: Run, result: Result, ended_at: datetime, now: datetime
) -> datetime | None:
    """Return when an attempt that ended so is followed by another; None if it is not.

    If that has passed already it starts ``now``, or not at all where now is too late.
    """
    if run.attempts > job.definition.retries or not _is_retryable(job.definition.retrying, result):
        return None
    try:
        at = ended_at + _pause(job.definition.retrying, run)
    except OverflowError:  # past the year 9999
        return None
    return at if in_time(job, run.trigger.scheduled_at, max(at, now)) else None


def _is_retryable(retrying: Retrying, result: Result) -> bool:
    if retrying.retry_exit_codes:
        return isinstance(result, Exited) and result.code in retrying.retry_exit_codes
    return outcome_of(result) in (Outcome.FAILED, Outcome.TIMED_OUT)


def _pause(retrying: Retrying, run: Run) -> timedelta:
    """Return the pause after ``run.attempts`` attempts: it follows from the run's id (rule C5)."""
    if not retrying.retry_delay:
        return timedelta()
    most = _microseconds(retrying.retry_max_delay) if retrying.retry_max_delay else _LONGEST
    try:
        grown = retrying.retry_backoff ** (run.attempts - 1)
    except OverflowError:
        grown = float(_LONGEST)
    # What has grown beyond all numbers is no integer.
    pause = int(min(_microseconds(retrying.retry_delay) * grown, most))
    if retrying.retry_jitter:
        digest = blake2b(f"{run.id} {run.attempts}".encode(), digest_size=8).digest()
        pause -= int(pause * retrying.retry_jitter * int.from_bytes(digest, "big") / _HASHES)
    return timedelta(microseconds=pause)


def _microseconds(text: str) -> int:
    return Duration.parse(text).microseconds
