"""The simulation: the real scheduler, whose attempts end when a plan says, from wake to wake."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from kala_trio.core.definition import Definition
from kala_trio.core.job import (
    Attempt,
    Cancelled,
    Job,
    Missed,
    Notice,
    Outcome,
    Progress,
    Run,
    Stopped,
    Trigger,
)
from kala_trio.core.messages import (
    EMPTY,
    AttemptEnded,
    Command,
    EndAttempt,
    Keep,
    Snapshot,
    StartAttempt,
    Stop,
)
from kala_trio.core.slots import Limits
from kala_trio.core.wakes import is_busy
from kala_trio.simulation.happenings import CameUp, Happening, Waiting, WentDown, Why
from kala_trio.simulation.plan import Plan
from kala_trio.simulation.telling import happenings_of
from kala_trio.simulation.virtual import VirtualDaemon

_UNLIMITED = Limits()


class Downtime(Struct, frozen=True):
    """The daemon is told to stop at ``begin``, and starts again at ``end``, or when it could."""

    begin: datetime
    end: datetime


class Simulation(VirtualDaemon):
    """Plays what a daemon would do, and tells of it; what is over is not kept.

    As in a real daemon, where an attempt ends a little later than planned, what is due at the
    instant at which it ends comes first, and finds it in progress.
    """

    def __init__(
        self,
        plan: Plan,
        begin: datetime,
        limits: Limits = _UNLIMITED,
        *,
        snapshot: Snapshot = EMPTY,
        grace: timedelta = timedelta(seconds=10),
    ) -> None:
        """Begin at an instant, or where ``snapshot`` is later; ``grace`` is that of a stop."""
        super().__init__(begin, limits, snapshot)
        self._plan = plan
        self._grace = grace
        self._is_down = False
        self._told: list[Happening] = []
        self._touched: dict[str, None] = {}
        self._order = count()
        # What each attempt in progress will come to, by its run; and all of them by their ends.
        self._planned: dict[str, AttemptEnded] = {}
        self._ends: list[tuple[datetime, int, AttemptEnded]] = []
        # How many runs each job had before.
        self._before = {each.job_id: each.runs for each in snapshot.progress}
        self._pending = {each.job_id: each.pending for each in snapshot.progress if each.pending}
        for attempt in snapshot.attempts:
            run = self.runs[attempt.run_id]
            job = self.jobs.get(run.job_id)
            self._expect_end(run, attempt, job.definition if job else None)
            if run.ending:
                self._cancel(run.id)

    def play(self, until: datetime, downtimes: Sequence[Downtime] = ()) -> Iterator[Happening]:
        """Go on to an instant, which is not played itself, and tell what happens.

        ``downtimes`` lie between now and then, in order. May be called again for what comes after.
        """
        for each in downtimes:
            yield from self._up_to(each.begin)
            yield from self._be_down(each)
        yield from self._up_to(until)

    def running(self) -> dict[str, int]:
        """Return how many runs are in progress of each job that has any."""
        return {each.job_id: len(each.running) for each in self.progress.values() if each.running}

    def take(self, commands: Sequence[Command]) -> None:
        """Keep what was decided, tell of it, plan what was started, and forget what is over."""
        self._told += happenings_of(commands, self, self.now)
        super().take(commands)
        for command in commands:
            match command:
                case StartAttempt(run, number, definition):
                    self._expect_end(run, self.attempts[run.id, number], definition)
                case EndAttempt(run_id):
                    self._cancel(run_id)
                case Keep(Progress() as progress):
                    self._touched[progress.job_id] = None
                case Keep(Run(outcome=Outcome()) | Missed() | Notice() as over):
                    self.forget(over)
                case _:
                    pass

    def _up_to(self, until: datetime) -> Iterator[Happening]:
        while (at := self._next_instant()) is not None and at < until:
            self.now = max(self.now, at)
            self.settle()
            while (end := self._next_end()) and end <= self.now:
                self._end_next()
                self.settle()
            yield from self._news()
        self.now = max(self.now, until)

    def _next_instant(self) -> datetime | None:
        wake, end = self.scheduler.next_wake(), self._next_end()
        return min(wake, end) if wake and end else wake or end

    def _be_down(self, downtime: Downtime) -> Iterator[Happening]:
        """Stop, with the grace period for what is in progress, and start again: rules C4, L4."""
        self._told.append(WentDown(self.now))
        self._is_down = True
        self.do(Stop())
        yield from self._news()
        over = self.now + self._grace
        for planned in [*self._planned.values()]:
            if planned.ended_at > over:
                self._expect(replace(planned, ended_at=over, result=Stopped()))
        while at := self._next_end():
            self.now = max(self.now, at)
            self._end_next()
            yield from self._news()
        self.now = max(self.now, downtime.end)
        self._told.append(CameUp(self.now))
        self._is_down = False
        self.restart()
        self.settle()
        yield from self._news()

    def _news(self) -> Iterator[Happening]:
        """Tell what happened at this instant, and then which triggers wait since."""
        yield from self._told
        self._told.clear()
        for job_id in self._touched:
            progress = self.progress[job_id]
            pending = progress.pending
            if pending != self._pending.get(job_id):
                if pending:
                    self._pending[job_id] = pending
                    yield self._waiting(self.jobs[job_id], progress, pending)
                else:
                    del self._pending[job_id]
        self._touched.clear()

    def _waiting(self, job: Job, progress: Progress, trigger: Trigger) -> Waiting:
        """Tell of a trigger that is pending, though nothing is due any more."""
        unless_down = Why.BUSY if is_busy(job, progress) else Why.LIMIT
        why = Why.DOWN if self._is_down else unless_down
        name = job.definition.name
        return Waiting(self.now, job.id, name, why, trigger.cause, trigger.scheduled_at)

    # Attempts

    def _expect_end(self, run: Run, attempt: Attempt, definition: Definition | None) -> None:
        number = run.number - self._before.get(run.job_id, 0)
        self._expect(self._plan.end_of(run, attempt, definition, number))

    def _expect(self, ended: AttemptEnded) -> None:
        self._planned[ended.run_id] = ended
        heapq.heappush(self._ends, (max(ended.ended_at, self.now), next(self._order), ended))

    def _cancel(self, run_id: str) -> None:
        self._expect(replace(self._planned[run_id], ended_at=self.now, result=Cancelled()))

    def _next_end(self) -> datetime | None:
        """Return when the next attempt ends; what is planned otherwise by now is dropped."""
        while self._ends and self._planned.get(self._ends[0][2].run_id) is not self._ends[0][2]:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def _end_next(self) -> None:
        ended = heapq.heappop(self._ends)[2]
        del self._planned[ended.run_id]
        self.do(ended)
