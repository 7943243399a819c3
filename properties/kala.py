"""kala-trio itself, as the properties want to see it."""

from datetime import datetime

from kala_trio.core.errors import Malformed, Refused
from kala_trio.core.job import Exited, Missed, Occurrence, Trigger
from kala_trio.core.messages import Disable, Enable, Event, Start
from kala_trio.core.schedule import Schedule, parse_schedule
from kala_trio.store.reader import JobView
from kala_trio.wire import encode_job
from properties.implementation import Fate, Miss, Point, Refusal, Story
from properties.world import World


class Kala:
    """The implementation that this repository holds."""

    def parse(self, text: str, time_zone: str, accepted_at: datetime) -> "KalaRecurrence":
        """Read a schedule; raises Refusal."""
        try:
            return KalaRecurrence(parse_schedule(text, time_zone, accepted_at=accepted_at))
        except Malformed as error:
            raise Refusal(error.field) from error

    def scheduling(self) -> "KalaScheduling":
        """Return a scheduler without any job."""
        return KalaScheduling()


class KalaRecurrence:
    """A schedule."""

    def __init__(self, schedule: Schedule) -> None:
        """Ask ``schedule``."""
        self.schedule = schedule

    def occurrence(self, k: int) -> datetime | None:
        """Return S(k)."""
        return self.schedule.occurrence(k)

    def next_after(self, t: datetime) -> Point | None:
        """Return the first occurrence later than ``t``."""
        return _point(self.schedule.next_after(t))

    def last_at(self, t: datetime) -> Point | None:
        """Return the last occurrence that is not later than ``t``."""
        return _point(self.schedule.last_at(t))

    def text(self) -> str:
        """Return the canonical text."""
        return str(self.schedule)


class KalaScheduling:
    """A world, whose clock is set before each event."""

    def __init__(self) -> None:
        """Begin without any job."""
        self.world = World()

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
        self.world.now = at
        try:
            self.world.create(
                job,
                schedule,
                time_zone=time_zone,
                epsilon=epsilon,
                disabled=disabled,
                resume=resume_at_next_scheduled_time,
            )
        except Refused as error:
            raise Refusal(error.field) from error

    def look(self, at: datetime) -> None:
        """Let the time be ``at``."""
        self.world.now = at
        self.world.settle()

    def next_wake(self) -> datetime | None:
        """Return when there is something to do next."""
        return self.world.scheduler.next_wake()

    def start(self, job: str, at: datetime) -> None:
        """Start a job by hand."""
        self._do(Start(job), at)

    def enable(self, job: str, at: datetime) -> None:
        """Enable a job."""
        self._do(Enable(job), at)

    def disable(self, job: str, at: datetime) -> None:
        """Disable a job."""
        self._do(Disable(job), at)

    def end(self, job: str, at: datetime) -> None:
        """Let the run in progress of a job succeed."""
        self.world.now = at
        (run_id,) = self.world.progress[job].running
        self.world.end(run_id, Exited(0))

    def restart(self, at: datetime) -> None:
        """Be back after a stop."""
        self.world.crash((at - self.world.now).total_seconds())

    def started(self) -> list[str]:
        """Return the jobs whose runs were started."""
        return self.world.started()

    def story(self, job: str) -> Story:
        """Tell what became of a job."""
        world = self.world
        progress = world.progress[job]
        shown = encode_job(JobView(world.jobs[job], progress, (), ()))
        next_run_at = datetime.fromisoformat(str(shown["next_run_at"]))
        runs = [run for run in world.runs.values() if run.job_id == job]
        records = [each for each in world.missed.values() if each.job_id == job]
        return Story(
            [(_fate(run.trigger), run.started_at) for run in runs],
            bool(progress.running),
            _fate(progress.pending) if progress.pending else None,
            [_miss(each) for each in sorted(records, key=lambda each: each.number)],
            None if next_run_at.year == 1 else next_run_at,
            shown["is_done"] is True,
        )

    def _do(self, event: Event, at: datetime) -> None:
        self.world.now = at
        self.world.do(event)
        self.world.settle()


def _fate(trigger: Trigger) -> Fate:
    return Fate(trigger.cause.value, trigger.scheduled_at, trigger.occurrence)


def _miss(each: Missed) -> Miss:
    return Miss(each.cause.value, each.reason.value, each.count, each.first, each.last)


def _point(found: Occurrence | None) -> Point | None:
    return None if found is None else Point(found.number, found.at)
