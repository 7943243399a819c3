"""The state machine: an event goes in, commands come out, and every transition is here.

A job is *busy* while ``Progress.run_id`` names a run, and else *idle*. Unless it is *disabled* it
may have one *pending* trigger, which waits for the run to end, or in an idle job for the next Tick.
Each trigger goes through one agenda: it starts a run, becomes pending, or is missed. The scheduler
as a whole may be *stopping*: then triggers become pending, and no attempt starts.

It reads no clock, does no I/O and mints no id: the instant comes in with the event, so the same
events at the same instants give the same commands (rule C5).
"""

import heapq
from datetime import UTC, datetime
from itertools import count
from typing import Self, assert_never

from msgspec.structs import replace

from kala_trio.core import graph
from kala_trio.core.errors import Conflict, KalaTrioError, Refused, no_job
from kala_trio.core.job import (
    Attempt,
    Cause,
    Job,
    Outcome,
    Progress,
    Queue,
    Reason,
    Run,
    Trigger,
    outcome_of,
)
from kala_trio.core.messages import (
    EMPTY,
    Act,
    AttemptEnded,
    AwaitOrphan,
    Command,
    Create,
    CreateAll,
    Delete,
    DeleteAll,
    Disable,
    Enable,
    Event,
    Snapshot,
    Start,
    StartAttempt,
    Stop,
    Tick,
)
from kala_trio.core.occurrences import (
    Span,
    due_of,
    first_occurrence,
    in_time,
    span_of,
    trigger_of,
    with_missed,
)
from kala_trio.core.state import State
from kala_trio.core.wakes import Wakes, due_at

# One Tick serves this many due jobs at most; the next one follows at once. So the first of many
# jobs due at one instant starts before the last was decided on.
_SERVED_AT_ONCE = 64
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Scheduler:
    """Decides what runs when (rules L, A, D, M, S9 and S10).

    ``handle`` changes the state and returns what is to be made durable and then done. Once that is
    durable the caller says ``committed``; if it can't be made so, ``rollback``.
    """

    def __init__(self, snapshot: Snapshot = EMPTY) -> None:
        """Know what is durable; ``restore`` also decides on what has come due since."""
        self._state = State(snapshot)
        self._stopping = False
        self._now = max(snapshot.instants(), default=_BEFORE_ALL)
        self._jobs_created = snapshot.jobs[-1].number if snapshot.jobs else 0
        self._wakes = Wakes(self._state)
        self._agenda: list[tuple[datetime, int, int, Trigger, str]] = []
        self._turns = count()
        self._acts: list[Act] = []

    @classmethod
    def restore(cls, snapshot: Snapshot, at: datetime) -> tuple[Self, list[Command]]:
        """Go on from ``snapshot`` at the instant ``at``: rules L4 (downtime), C3 and C6."""
        self = cls(snapshot)
        self._now = max(self._now, at)
        for job in snapshot.jobs:
            progress = self._state.progress[job.id]
            waiting = progress.pending
            if waiting and waiting.cause is Cause.FAILURE and not progress.run_id:
                # The stop came between a failure and its failure job, which counts from now (D9).
                waiting = replace(waiting, scheduled_at=self._now)
                self._keep(replace(progress, pending=waiting))
            # Asked first, since of most of many jobs nothing is due.
            if not progress.disabled and progress.next and progress.next.at <= self._now:
                self._catch_up(job, Reason.DOWNTIME)
        runs = self._state.runs
        self._acts += [AwaitOrphan(runs[each.run_id], each) for each in snapshot.attempts]
        return self, self._commands()

    def handle(self, event: Event, at: datetime) -> list[Command]:
        """Decide on ``event`` at ``at``; an earlier instant than before is lifted to that (C6).

        Raises:
            Refused, NotFound, Conflict: of a request, and then nothing has changed.
        """
        self._now = max(self._now, at)
        match event:
            case Create():
                self._create(event)
            case CreateAll(creates):
                self._create_all(creates)
            case Delete(job_id):
                self._delete(graph.deleted_with(self._state, self._job(job_id).id))
            case DeleteAll():
                self._delete(sorted(self._state.jobs, key=lambda each: self._job(each).number))
            case Start(job_id):
                self._start(self._job(job_id))
            case Enable(job_id):
                self._enable(self._job(job_id))
            case Disable(job_id):
                self._disable(self._job(job_id))
            case AttemptEnded():
                self._attempt_ended(event)
            case Tick():
                self._serve_due()
            case Stop():
                self._stopping = True
            case _:
                assert_never(event)
        self._serve_agenda()
        return self._commands()

    def next_wake(self) -> datetime | None:
        """Return the instant at which the next Tick has something to do; None if there is none."""
        return None if self._stopping else self._wakes.next()

    def is_due(self, at: datetime) -> bool:
        """Tell whether a Tick has something to do at ``at``, or at a later instant seen (C6)."""
        wake = self.next_wake()
        return wake is not None and wake <= max(self._now, at)

    def committed(self) -> None:
        """Learn that all commands so far are durable."""
        self._state.committed()

    def rollback(self) -> None:
        """Go back to the state of the last ``committed``: nothing since then became durable."""
        for job_id in self._state.rollback():
            self._wakes.note(self._state.progress[job_id])

    # Requests

    def _job(self, job_id: str) -> Job:
        try:
            return self._state.jobs[job_id]
        except KeyError:
            raise no_job(job_id) from None

    def _create(self, event: Create) -> None:
        if event.job_id in self._state.jobs:
            raise Conflict(f"there is a job {event.job_id!r} already")
        graph.check_edges(self._state, event.definition)
        job = Job(event.job_id, self._jobs_created + 1, self._now, event.definition)
        first = first_occurrence(job)
        self._jobs_created = job.number
        self._state.keep(job)
        self._keep(Progress(job.id, event.definition.disabled, first))

    def _create_all(self, creates: tuple[Create, ...]) -> None:
        """Create all or none (rule D6)."""
        mark, created = self._state.mark(), self._jobs_created
        try:
            for each in creates:
                self._create(each)
        except KalaTrioError as error:
            position = self._jobs_created - created
            self._state.rollback(mark)
            self._jobs_created = created
            if isinstance(error, Refused):
                raise error.within(position) from None
            raise

    def _delete(self, gone: list[str]) -> None:
        left_behind: dict[str, None] = {}
        over: list[Trigger] = []
        for job_id in gone:
            job, progress = self._state.jobs[job_id], self._state.progress[job_id]
            left_behind |= dict.fromkeys(self._state.pointing_at(job_id))
            if progress.pending:
                self._miss(job, span_of(progress.pending), Reason.DELETED)
                over.append(progress.pending)
            if due := due_of(job, progress, self._now):
                reason = Reason.DISABLED if progress.disabled else Reason.DELETED
                self._miss(job, due.all(), reason)
        for job_id in gone:
            self._state.forget_job(job_id)
        for job_id in left_behind:
            if job_id in self._state.jobs:
                self._cut_loose(self._state.jobs[job_id])
        for trigger in over:
            self._turn_is_over(trigger)

    def _cut_loose(self, job: Job) -> None:
        """Take jobs that are gone off a definition (rules D5, D9)."""
        definition, jobs = job.definition, self._state.jobs
        parents = tuple(each for each in definition.parent_jobs if each in jobs)
        failure_job = definition.on_failure_job if definition.on_failure_job in jobs else ""
        definition = replace(definition, parent_jobs=parents, on_failure_job=failure_job)
        self._state.keep(replace(job, definition=definition))

    def _start(self, job: Job) -> None:
        if self._state.progress[job.id].disabled:
            raise Conflict(f"job {job.id!r} is disabled; enable it first")
        self._trigger(job.id, Trigger(Cause.MANUAL, self._now))

    def _enable(self, job: Job) -> None:
        progress = self._state.progress[job.id]
        if progress.disabled:
            self._keep(replace(progress, disabled=False))
            self._catch_up(job, Reason.DISABLED)

    def _disable(self, job: Job) -> None:
        progress = self._state.progress[job.id]
        if not progress.disabled:
            self._keep(replace(progress, disabled=True))
            self._miss_pending(job, Reason.DISABLED)

    # Time

    def _catch_up(self, job: Job, reason: Reason) -> None:
        """Make the latest due occurrence pending, older ones missed: rule L4."""
        progress = self._state.progress[job.id]
        due = due_of(job, progress, self._now)
        if due is None:
            return
        self._keep(replace(progress, next=due.coming()))
        if job.definition.resume_at_next_scheduled_time:
            self._miss(job, due.all(), reason)
            return
        self._miss_pending(job, Reason.OVERLAP)
        if older := due.older():
            self._miss(job, older, reason)
        self._make_pending(job, trigger_of(due.latest))

    def _serve_due(self) -> None:
        """Trigger what is due, in the order of S, then of the jobs' creation: rules L8, L9."""
        for _ in range(_SERVED_AT_ONCE):
            if not self.is_due(self._now):
                return
            job = self._state.jobs[self._wakes.take()]
            progress = self._state.progress[job.id]
            if progress.pending and not progress.run_id:
                self._take_pending(progress)
            elif due := due_of(job, progress, self._now):
                if older := due.older():  # the latest has its turn in the order of its own S
                    self._keep(replace(progress, next=due.latest))
                    self._miss_pending(job, Reason.OVERLAP)
                    self._miss(job, older, Reason.OVERLAP if progress.run_id else Reason.LATE)
                else:
                    self._keep(replace(progress, next=due.coming()))
                    self._trigger(job.id, trigger_of(due.latest))
            self._serve_agenda()

    # Triggers

    def _trigger(self, job_id: str, trigger: Trigger) -> None:
        number = self._state.jobs[job_id].number
        entry = (trigger.scheduled_at, number, next(self._turns), trigger, job_id)
        heapq.heappush(self._agenda, entry)

    def _serve_agenda(self) -> None:
        """Serve triggers until none is left; a loop, so chains of any depth need no stack (D7)."""
        while self._agenda:
            *_, trigger, job_id = heapq.heappop(self._agenda)
            job, progress = self._state.jobs[job_id], self._state.progress[job_id]
            if progress.run_id or self._stopping:
                self._make_pending(job, trigger)
            elif progress.pending:
                self._take_pending(progress)
                self._trigger(job_id, trigger)
            elif in_time(job, trigger.scheduled_at, self._now):
                self._start_run(job, progress, trigger)
            else:
                self._miss_trigger(job, trigger, Reason.EPSILON)

    def _make_pending(self, job: Job, trigger: Trigger) -> None:
        """Let a busy job's trigger wait, in place of an older one, which is missed: rule L2."""
        progress = self._state.progress[job.id]
        if progress.pending and progress.pending.scheduled_at > trigger.scheduled_at:
            self._miss_trigger(job, trigger, Reason.OVERLAP)
            return
        self._miss_pending(job, Reason.OVERLAP)
        self._keep(replace(self._state.progress[job.id], pending=trigger))

    def _miss_pending(self, job: Job, reason: Reason) -> None:
        progress = self._state.progress[job.id]
        if pending := progress.pending:
            self._keep(replace(progress, pending=None))
            self._miss_trigger(job, pending, reason)

    def _take_pending(self, progress: Progress) -> None:
        if trigger := progress.pending:
            self._keep(replace(progress, pending=None))
            self._trigger(progress.job_id, trigger)

    def _miss_trigger(self, job: Job, trigger: Trigger, reason: Reason) -> None:
        self._miss(job, span_of(trigger), reason)
        self._turn_is_over(trigger)

    def _miss(self, job: Job, missed: Span, reason: Reason) -> None:
        progress, record = with_missed(job, self._state.progress[job.id], missed, reason)
        self._keep(progress)
        self._state.keep(record)

    # Runs

    def _start_run(self, job: Job, progress: Progress, trigger: Trigger) -> None:
        number = progress.runs + 1
        run = Run(f"{job.id}.{number}", job.id, job.definition.name, number, trigger, self._now)
        self._keep(replace(progress, run_id=run.id, runs=number))
        self._start_attempt(job, run)

    def _start_attempt(self, job: Job, run: Run) -> None:
        progress = self._state.progress[job.id]
        self._keep(replace(progress, last_attempted_run=self._now))
        self._state.keep(run)
        self._state.keep(Attempt(run.id, run.attempts, self._now))
        self._acts.append(StartAttempt(run, run.attempts, job.definition))

    def _attempt_ended(self, event: AttemptEnded) -> None:
        run = self._state.runs[event.run_id]
        # The wall clock may have gone back since the attempt was decided on, or while it went on.
        started_at = max(event.started_at, self._state.attempts[run.id].started_at)
        ended_at = max(started_at, event.ended_at)
        self._state.keep(Attempt(run.id, event.number, started_at, ended_at, event.result))
        if event.number == 1:
            run = replace(run, started_at=started_at)
        outcome = outcome_of(event.result)
        job = self._state.jobs.get(run.job_id)
        if job is None:
            self._end_run(run, ended_at, outcome)
            return
        progress = replace(self._state.progress[job.id], last_attempted_run=started_at)
        if outcome is not Outcome.SUCCEEDED:
            progress = replace(progress, error_count=progress.error_count + 1, last_error=ended_at)
        self._keep(progress)
        if self._may_retry(job, run, outcome):
            self._start_attempt(job, replace(run, attempts=run.attempts + 1))
        else:
            self._end_run(run, ended_at, outcome)

    def _may_retry(self, job: Job, run: Run, outcome: Outcome) -> bool:
        """Tell whether a further attempt may start: rules A1, A2."""
        return (
            outcome is Outcome.FAILED
            and run.attempts <= job.definition.retries
            and not self._stopping
            and in_time(job, run.trigger.scheduled_at, self._now)
        )

    def _end_run(self, run: Run, ended_at: datetime, outcome: Outcome) -> None:
        self._state.keep(replace(run, ended_at=ended_at, outcome=outcome))
        if job := self._state.jobs.get(run.job_id):
            progress = self._state.progress[job.id]
            progress = replace(progress, run_id=None, finished=progress.finished + 1)
            if outcome is Outcome.SUCCEEDED:
                successes = progress.success_count + 1
                progress = replace(progress, success_count=successes, last_success=ended_at)
            self._keep(progress)
            if not self._stopping:
                self._take_pending(progress)
            self._trigger_followers(job, run, outcome)
        self._turn_is_over(run.trigger)

    def _trigger_followers(self, job: Job, run: Run, outcome: Outcome) -> None:
        """Trigger what is to run after a run that ended so: rules D1, D3, D9, C3."""
        match outcome:
            case Outcome.SUCCEEDED:
                self._trigger_children(job, run)
            case Outcome.FAILED | Outcome.STOPPED:
                self._trigger_failure_job(job, run)
            case Outcome.LOST:
                self._trigger_failure_job(job, run)
                if job.definition.rerun_lost:
                    self._rerun(job, run)
            case _:
                assert_never(outcome)

    def _trigger_children(self, job: Job, run: Run) -> None:
        if children := self._state.children_of(job.id):
            self._state.keep(Queue(run.id, children, -1))
            self._next_in_queue(run.id)

    def _trigger_failure_job(self, job: Job, run: Run) -> None:
        heir = job.definition.on_failure_job
        if heir and not self._state.progress[heir].disabled:
            self._trigger(heir, Trigger(Cause.FAILURE, self._now, source=run.id))

    def _rerun(self, job: Job, lost: Run) -> None:
        """Ask for what was lost once more, as of the time that it was scheduled for: rule C3."""
        trigger = Trigger(Cause.RERUN, lost.trigger.scheduled_at, source=lost.id)
        if self._state.progress[job.id].disabled:
            self._miss_trigger(job, trigger, Reason.DISABLED)
        else:
            self._trigger(job.id, trigger)

    def _turn_is_over(self, trigger: Trigger) -> None:
        """Go on with the queue of the parent's run, if that is what the trigger came from (D2)."""
        match trigger:
            case Trigger(cause=Cause.PARENT, source=str(run_id)):
                self._next_in_queue(run_id)

    def _next_in_queue(self, run_id: str) -> None:
        """Give the turn to the next child that is there and enabled: rules D2, D4."""
        queue = self._state.queues[run_id]
        for position in range(queue.position + 1, len(queue.children)):
            child = self._state.progress.get(queue.children[position])
            if child and not child.disabled:
                self._state.keep(replace(queue, position=position))
                self._trigger(child.job_id, Trigger(Cause.PARENT, self._now, source=run_id))
                return
        self._state.forget_queue(run_id)

    # Bookkeeping

    def _commands(self) -> list[Command]:
        acts, self._acts = self._acts, []
        return [*self._state.take_records(), *acts]

    def _keep(self, progress: Progress) -> None:
        before = self._state.progress.get(progress.job_id)
        self._state.keep(progress)
        if before is None or due_at(before) != due_at(progress):
            self._wakes.note(progress)
