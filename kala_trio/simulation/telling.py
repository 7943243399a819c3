"""What the scheduler's commands come to, told as happenings: it compares, and decides nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from kala_trio.core.job import (
    Attempt,
    Cause,
    Missed,
    Outcome,
    Progress,
    Result,
    Run,
    reason_of,
)
from kala_trio.core.messages import Command, Keep, StartAttempt
from kala_trio.core.occurrences import schedule_of
from kala_trio.simulation.happenings import (
    AttemptFailed,
    Ended,
    Happening,
    Late,
    MissedSome,
    Started,
)
from kala_trio.simulation.memory import MemoryStore


def happenings_of(
    commands: Sequence[Command], before: MemoryStore, at: datetime
) -> Iterator[Happening]:
    """Yield what one decision has brought: ends, then misses, then starts, each in its order.

    ``before`` is what was durable until then.
    """
    values = [each.value for each in commands if isinstance(each, Keep)]
    runs = {each.id: each for each in values if isinstance(each, Run)}
    results: dict[str, Result] = {}
    for each in values:
        if isinstance(each, Attempt) and each.result:
            results[each.run_id] = each.result
            if (run := runs[each.run_id]).outcome is None:
                yield _attempt_failed(run, each.number, each.result, at)
    for run in runs.values():
        if run.outcome:
            yield _ended(run, run.outcome, results.get(run.id) or _latest_result(run, before), at)
    for each in values:
        if isinstance(each, Missed):
            yield _missed(each, before, at)
        elif isinstance(each, Progress) and _has_become_late(each, before):
            name = before.jobs[each.job_id].definition.name
            yield Late(at, each.job_id, name, each.standing.expected or at)
    for act in commands:
        if isinstance(act, StartAttempt):
            yield _started(act.run, act.number, at)


def _started(run: Run, attempt: int, at: datetime) -> Started:
    it = run.trigger
    return Started(
        at,
        run.job_id,
        run.job_name,
        run.id,
        run.number,
        attempt,
        it.cause,
        it.scheduled_at,
        it.source,
    )


def _attempt_failed(run: Run, attempt: int, result: Result, at: datetime) -> AttemptFailed:
    """Tell of an attempt after which its run goes on."""
    again_at = run.pause.until if run.pause else at
    return AttemptFailed(
        at, run.job_id, run.job_name, run.id, run.number, attempt, reason_of(result), again_at
    )


def _ended(run: Run, outcome: Outcome, result: Result | None, at: datetime) -> Ended:
    reason = reason_of(result) if result else ""
    if outcome is Outcome.CANCELLED and run.ending:
        reason = run.ending.value
    return Ended(
        at,
        run.job_id,
        run.job_name,
        run.id,
        run.number,
        run.attempts,
        outcome,
        reason,
        run.started_at,
        run.ended_at or at,
    )


def _latest_result(run: Run, before: MemoryStore) -> Result | None:
    """Return what the attempt came to after which a run was in a pause."""
    attempt = before.attempts.get((run.id, run.attempts))
    return attempt.result if attempt else None


def _missed(record: Missed, before: MemoryStore, at: datetime) -> MissedSome:
    """Tell of what a record has more than it had: adjacent misses share one (rule L5)."""
    progress = before.progress[record.job_id]
    older = next((it for it in progress.latest_missed if it.number == record.number), None)
    first, count = record.first, record.count
    if older:
        count -= older.count
        first = record.last if count == 1 else _first_since(older, record, before)
    return MissedSome(
        at, record.job_id, record.job_name, record.cause, record.reason, count, first, record.last
    )


def _first_since(older: Missed, record: Missed, before: MemoryStore) -> datetime:
    """Return S of the first of several that came to a record."""
    schedule = schedule_of(before.jobs[record.job_id])
    if record.cause is Cause.OCCURRENCE and schedule:
        coming = schedule.next_after(older.last)
        return min(coming.at, record.last) if coming else record.last
    # Of other triggers that are missed together, all are of this moment but one that was pending.
    pending = before.progress[record.job_id].pending
    return pending.scheduled_at if pending else record.last


def _has_become_late(progress: Progress, before: MemoryStore) -> bool:
    known = before.progress.get(progress.job_id)
    return progress.standing.is_late and not (known and known.standing.is_late)
