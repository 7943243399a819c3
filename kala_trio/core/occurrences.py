"""The fate of due occurrences: which is the trigger, which are missed, how that is recorded."""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.duration import Duration
from kala_trio.core.errors import Refused
from kala_trio.core.job import Cause, Job, Missed, Occurrence, Progress, Reason, Trigger
from kala_trio.core.schedule import Schedule, find_zone, later, parse_schedule

_MOMENT = timedelta(microseconds=1)


class Span(Struct, frozen=True, gc=False):
    """``count`` adjacent triggers of one cause, from ``first`` to ``last`` (scheduled times)."""

    cause: Cause
    count: int
    first: datetime
    last: datetime
    first_occurrence: int | None = None
    last_occurrence: int | None = None


def schedule_of(job: Job) -> Schedule | None:
    """Return the job's schedule; a child has none, an unscheduled job runs once (rule S10)."""
    return None if job.definition.parent_jobs else _own_schedule(job)


def _own_schedule(job: Job) -> Schedule:
    definition = job.definition
    text = definition.schedule or "R0//PT1S"
    return parse_schedule(text, definition.time_zone, accepted_at=job.created_at)


def first_occurrence(job: Job) -> Occurrence | None:
    """Return the first occurrence that may become due (rules S9, S10); None for a child.

    Raises:
        Refused: naming ``schedule``, where no occurrence is left.
    """
    schedule = schedule_of(job)
    if schedule is None:
        return None
    before = job.created_at - _MOMENT
    if coming := schedule.next_after(before):
        return coming
    latest = schedule.last_at(before)
    if latest is None:
        raise Refused(
            "schedule",
            "it has no occurrence before the year 10000",
            found=job.definition.schedule,
            example='"R/2030-01-01T09:00:00Z/P1D"',
        )
    if job.definition.epsilon and in_time(job, latest.at, job.created_at):
        return latest
    raise Refused(
        "schedule",
        "cannot be scheduled in the past",
        found=job.definition.schedule,
        example='"R2//PT10S", which starts now, or a start that is still to come',
    )


def following(job: Job, occurrence: Occurrence) -> Occurrence | None:
    """Return the occurrence after this one."""
    schedule = _own_schedule(job)
    coming = schedule.next_after(occurrence.at)
    # What the zone database says of this one may have changed since its instant was noted.
    while coming and coming.number <= occurrence.number:
        coming = schedule.next_after(coming.at)
    return coming


def due(job: Job, progress: Progress, now: datetime) -> tuple[Occurrence, Occurrence] | None:
    """Return the first and the latest of the occurrences due at ``now`` whose fate is open."""
    first = progress.next
    if first is None or first.at > now:
        return None
    return first, _own_schedule(job).last_at(now) or first


def span(job: Job, first: Occurrence, last: Occurrence) -> Span:
    """Describe the occurrences from ``first`` to ``last``, both of which exist."""
    count = _own_schedule(job).count(first.number, last.number)
    return Span(Cause.OCCURRENCE, count, first.at, last.at, first.number, last.number)


def span_before(job: Job, first: Occurrence, end: Occurrence) -> Span | None:
    """Describe the occurrences from ``first`` up to but without ``end``; None if there are none."""
    if first.number >= end.number:
        return None
    last = _own_schedule(job).last_at(end.at - _MOMENT)
    return span(job, first, last) if last else None


def span_of(trigger: Trigger) -> Span:
    """Describe a single trigger."""
    at, number = trigger.scheduled_at, trigger.occurrence
    return Span(trigger.cause, 1, at, at, number, number)


def in_time(job: Job, scheduled_at: datetime, now: datetime) -> bool:
    """Tell whether an attempt may start: now ≤ S + ε, in the job's zone (rules L3, A2)."""
    definition = job.definition
    if not definition.epsilon:
        return True
    schedule = schedule_of(job)
    zone = schedule.zone if schedule else find_zone(definition.time_zone)
    end = later(scheduled_at, Duration.parse(definition.epsilon), zone)
    return end is None or now <= end


def with_missed(job: Job, progress: Progress, missed: Span, reason: Reason) -> Progress:
    """Record a miss: the last of ``latest_missed`` of the returned progress (rule L5).

    It extends the latest record of its cause and reason where the two are adjacent.
    """
    others = tuple(each for each in progress.latest_missed if each.cause != missed.cause)
    latest = next((each for each in progress.latest_missed if each.cause == missed.cause), None)
    if latest and latest.reason == reason and _adjacent(job, progress, latest, missed):
        record = replace(
            latest,
            count=latest.count + missed.count,
            last=missed.last,
            last_occurrence=missed.last_occurrence,
        )
        return replace(progress, latest_missed=(*others, record))
    record = Missed(
        job.id,
        job.definition.name,
        progress.misses + 1,
        missed.cause,
        reason,
        missed.count,
        missed.first,
        missed.last,
        missed.last_occurrence,
    )
    return replace(progress, misses=record.number, latest_missed=(*others, record))


def _adjacent(job: Job, progress: Progress, latest: Missed, missed: Span) -> bool:
    """Nothing lies between the two: no occurrence, or for other causes no attempt."""
    match latest.last_occurrence, missed.first_occurrence:
        case int(before), int(after):
            return _own_schedule(job).count(before + 1, after - 1) == 0
        case _:
            attempted = progress.last_attempted_run
            return attempted is None or attempted <= latest.last
