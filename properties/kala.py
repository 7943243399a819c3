"""kala-trio as the properties ask for it: the implementation under test, if no other is named."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from kala_trio.core.errors import Conflict, Malformed, Refused
from kala_trio.core.job import Definition, Missed, Occurrence, Run, Trigger
from kala_trio.core.messages import Create, Disable, Enable, Start, Stop
from kala_trio.core.schedule import Schedule, parse_schedule
from kala_trio.core.validation import check
from properties.implementation import Fate, Miss, Point, Recurrence, Refusal, Scheduling, Story
from properties.world import World

_Record = TypeVar("_Record", Run, Missed)


class KalaRecurrence:
    """A ``Schedule``."""

    def __init__(self, schedule: Schedule) -> None:
        """Ask ``schedule``."""
        self._schedule = schedule

    def occurrence(self, k: int) -> datetime | None:
        """Return S(k)."""
        return self._schedule.occurrence(k)

    def next_after(self, t: datetime) -> Point | None:
        """Return the first occurrence later than ``t``."""
        return _point(self._schedule.next_after(t))

    def last_at(self, t: datetime) -> Point | None:
        """Return the last occurrence that is not later than ``t``."""
        return _point(self._schedule.last_at(t))

    def text(self) -> str:
        """Return the canonical text."""
        return str(self._schedule)


class KalaScheduling:
    """A scheduler in a ``World``, where a job's id is its name."""

    def __init__(self) -> None:
        """Begin with no job; the first call sets the clock."""
        self._world = World()

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
        """Create a job as a client does: checked first, and then accepted."""
        definition = Definition(
            job,
            "true",
            disabled=disabled,
            schedule=schedule,
            time_zone=time_zone,
            epsilon=epsilon,
            resume_at_next_scheduled_time=resume_at_next_scheduled_time,
        )
        self._world.now = at
        try:
            check(definition, at)
            self._world.do(Create(job, definition))
        except Refused as refusal:
            raise Refusal(refusal.field) from refusal
        coming = self._world.progress[job].next
        self._world.first[job] = coming.number if coming else 0
        self._world.settle()

    def look(self, at: datetime) -> None:
        """Serve what is due at ``at``."""
        self._world.now = at
        self._world.settle()

    def next_wake(self) -> datetime | None:
        """Return the instant at which something is to come."""
        return self._world.scheduler.next_wake()

    def start(self, job: str, at: datetime) -> None:
        """Start a job by hand."""
        self._request(Start(job), at)

    def enable(self, job: str, at: datetime) -> None:
        """Enable a job."""
        self._request(Enable(job), at)

    def disable(self, job: str, at: datetime) -> None:
        """Disable a job."""
        self._request(Disable(job), at)

    def end(self, job: str, at: datetime) -> None:
        """Let the job's run succeed."""
        self._world.now = at
        self._world.succeed(job)

    def restart(self, at: datetime) -> None:
        """Stop at once, and be back at ``at``."""
        self._world.do(Stop())
        self._world.now = at
        self._world.crash()

    def started(self) -> list[str]:
        """Return the jobs of the runs."""
        return self._world.started()

    def story(self, job: str) -> Story:
        """Read what the store holds of a job."""
        world = self._world
        progress = world.progress[job]
        runs = _of(job, world.runs.values())
        missed = _of(job, world.missed.values())
        coming = None if progress.disabled else progress.next
        return Story(
            runs=[(_fate(run.trigger), run.started_at) for run in runs],
            busy=progress.run_id is not None,
            pending=_fate(progress.pending) if progress.pending else None,
            missed=[Miss(it.reason, it.count, it.first, it.last) for it in missed],
            next_run_at=coming.at if coming else None,
            is_done=not (progress.next or progress.pending or progress.run_id),
        )

    def _request(self, request: Start | Enable | Disable, at: datetime) -> None:
        self._world.now = at
        try:
            self._world.do(request)
        except Conflict as conflict:
            raise Refusal("disabled") from conflict
        self._world.settle()


class Kala:
    """kala-trio's core."""

    def parse(self, text: str, time_zone: str, accepted_at: datetime) -> Recurrence:
        """Read a schedule."""
        try:
            return KalaRecurrence(parse_schedule(text, time_zone, accepted_at=accepted_at))
        except Malformed as refusal:
            raise Refusal(refusal.field) from refusal

    def scheduling(self) -> Scheduling:
        """Return a scheduler without any job."""
        return KalaScheduling()


def _of(job: str, records: Iterable[_Record]) -> list[_Record]:
    return sorted((it for it in records if it.job_id == job), key=lambda it: it.number)


def _point(occurrence: Occurrence | None) -> Point | None:
    return Point(occurrence.number, occurrence.at) if occurrence else None


def _fate(trigger: Trigger) -> Fate:
    return Fate(trigger.cause, trigger.scheduled_at, trigger.occurrence)
