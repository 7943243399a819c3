"""What of a job is due, what was passed over, and how misses are recorded; it decides nothing."""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.duration import Duration
from kala_trio.core.errors import Refused
from kala_trio.core.job import Cause, Job, Missed, Occurrence, Progress, Reason, Trigger
from kala_trio.core.schedule import Schedule, find_zone, later
from kala_trio.core.timetable import Times, Timetable, times_of

_MOMENT = timedelta(microseconds=1)


class Span(Struct, frozen=True, gc=False):
    """``count`` adjacent triggers of one cause, from ``first`` to ``last`` (scheduled times)."""

    cause: Cause
    count: int
    first: datetime
    last: datetime
    first_occurrence: int | None = None
    last_occurrence: int | None = None


def schedule_of(job: Job) -> Times | None:
    """Return the job's schedule; a child has none, an unscheduled job runs once (rule S10)."""
    it = job.definition
    if it.parent_jobs:
        return None
    return times_of(job.id, it.schedule, it.time_zone, it.timing, job.scheduled_from)


def first_occurrence(job: Job) -> Occurrence | None:
    """Return the first occurrence that may become due (rules S9, S10); None for a child.

    Raises:
        Refused: naming ``schedule``, where no occurrence is left.
    """
    schedule = schedule_of(job)
    if schedule is None:
        return None
    before = job.scheduled_from - _MOMENT
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
    if job.definition.epsilon and in_time(job, latest.at, job.scheduled_from):
        return latest
    raise Refused(
        "schedule",
        "cannot be scheduled in the past",
        found=job.definition.schedule,
        example='"R2//PT10S", which starts now, or a start that is still to come',
    )


class Due(Struct, frozen=True):
    """The occurrences of a job that are due and whose fate is open: ``first`` to ``latest``.

    ``first`` is as it was noted: what the zone database says of it may have changed since.
    """

    schedule: Times
    first: Occurrence
    latest: Occurrence

    def all(self) -> Span:
        """Describe all of them."""
        return self._span(self.latest)

    def older(self) -> Span | None:
        """Describe those before the latest; None if there are none."""
        return None if self.first.number == self.latest.number else self.before(self.latest)

    def before(self, first: Occurrence) -> Span:
        """Describe those before ``first``, of which there are some."""
        return self._span(_last_at(self.schedule, first.at - _MOMENT, self.first))

    def limited(self, most: int) -> "Due":
        """Return the latest ``most`` of them."""
        if self.schedule.count(self.first.number, self.latest.number) <= most:
            return self
        first = self.latest
        for _ in range(most - 1):
            first = _last_at(self.schedule, first.at - _MOMENT, self.first)
        return Due(self.schedule, first, self.latest)

    def after(self, served: Occurrence) -> Occurrence | None:
        """Return the occurrence after one of them."""
        coming = self.schedule.next_after(served.at)
        while coming and coming.number <= served.number:
            coming = self.schedule.next_after(coming.at)
        return coming

    def _span(self, last: Occurrence) -> Span:
        first = self.first
        count = 1 + self.schedule.count(first.number + 1, last.number)
        earliest = min(first.at, last.at)
        return Span(Cause.OCCURRENCE, count, earliest, last.at, first.number, last.number)


def is_scheduled(definition: Definition) -> bool:
    """Tell whether a schedule is written in a definition."""
    return bool(definition.schedule or definition.timing.cron or definition.timing.schedules)


def is_timed_alike(job: Job, definition: Definition) -> bool:
    """Tell whether another definition has the same occurrences as a job's own (rule M4)."""
    own = job.definition
    if bool(own.parent_jobs) or bool(definition.parent_jobs):
        return bool(own.parent_jobs) == bool(definition.parent_jobs)
    texts = (own.schedule, own.time_zone) == (definition.schedule, definition.time_zone)
    return texts and own.timing == definition.timing


def due_of(job: Job, progress: Progress, now: datetime) -> Due | None:
    """Return what of a job is due at ``now``; None if nothing is."""
    first = progress.next
    if first is None or first.at > now:
        return None
    schedule = schedule_of(job)
    return Due(schedule, first, _last_at(schedule, now, first)) if schedule else None


def _last_at(schedule: Times, t: datetime, first: Occurrence) -> Occurrence:
    """Return the last occurrence that is not later than ``t``, and none before ``first``."""
    last = schedule.last_at(t)
    return last if last and last.number > first.number else first


def trigger_of(occurrence: Occurrence) -> Trigger:
    """Return the trigger that an occurrence is."""
    return Trigger(Cause.OCCURRENCE, occurrence.at, occurrence.number)


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


def with_missed(
    job: Job, progress: Progress, missed: Span, reason: Reason
) -> tuple[Progress, Missed]:
    """Record a miss; return the progress that knows of it, and the record (rule L5).

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
        return replace(progress, latest_missed=(*others, record)), record
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
    return replace(progress, misses=record.number, latest_missed=(*others, record)), record


def _adjacent(job: Job, progress: Progress, latest: Missed, missed: Span) -> bool:
    """Nothing lies between the two: no occurrence, or for other causes no attempt."""
    match schedule_of(job), latest.last_occurrence, missed.first_occurrence:
        case (Schedule() | Timetable()) as schedule, int(before), int(after):
            return schedule.count(before + 1, after - 1) == 0
        case _:
            attempted = progress.last_attempted_run
            return attempted is None or attempted <= latest.last
