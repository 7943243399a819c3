"""Runs: how one starts or its trigger waits, its attempts and pauses, its end, what follows it."""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from kala_trio.core.definition import Overlap
from kala_trio.core.job import (
    Attempt,
    Cause,
    Ending,
    Job,
    Outcome,
    Pause,
    Progress,
    Reason,
    Run,
    Trigger,
    outcome_of,
)
from kala_trio.core.messages import AttemptEnded, EndAttempt, StartAttempt
from kala_trio.core.notices import Notices
from kala_trio.core.occurrences import in_time
from kala_trio.core.retries import next_attempt_at
from kala_trio.core.slots import Slots
from kala_trio.core.state import State
from kala_trio.core.triggers import Triggers
from kala_trio.core.wakes import is_busy


class Runs:
    """Makes runs of triggers, and leads them to their ends (rules L2, L3, L10, L12, A, D9)."""

    def __init__(self, state: State, triggers: Triggers, slots: Slots, notices: Notices) -> None:
        """Work on ``state``, and take the triggers from ``triggers``."""
        self._state = state
        self._triggers = triggers
        self._slots = slots
        self._notices = notices

    def serve_agenda(self) -> None:
        """Serve triggers until none is left; a loop, so chains of any depth need no stack (D7)."""
        while True:
            while taken := self._triggers.take():
                self._serve(*taken)
            if self._state.stopping or not (job_id := self._slots.next_in_turn()):
                return
            if job := self._state.jobs.get(job_id):
                self._triggers.take_pending(job)

    def _serve(self, job_id: str, trigger: Trigger) -> None:
        """Start a run, or let the trigger wait, or miss it."""
        state = self._state
        job = state.jobs[job_id]
        self._notices.expect_run(job, trigger.scheduled_at)
        progress = state.progress[job_id]
        if is_busy(job, progress):
            self._overlap(job, progress, trigger)
        elif state.stopping or job_id in state.held:
            self._triggers.make_pending(job, trigger)
        elif progress.pending:
            self._triggers.take_pending(job)
            self._triggers.add(job_id, trigger)
        elif not in_time(job, trigger.scheduled_at, state.now):
            self._triggers.miss(job, trigger, Reason.EPSILON)
        elif (limit := self._slots.full(job)) is not None:
            self._triggers.make_pending(job, trigger)
            self._slots.hold(job, trigger.scheduled_at, limit)
        else:
            self._start(job, progress, trigger)

    def _overlap(self, job: Job, progress: Progress, trigger: Trigger) -> None:
        """Decide on a busy job's trigger: rules L2, L10."""
        overlap = job.definition.policy.overlap
        match overlap:
            case Overlap.QUEUE | Overlap.ALLOW:
                self._triggers.make_pending(job, trigger)
            case Overlap.SKIP:
                self._triggers.miss_pending(job, Reason.OVERLAP)
                self._triggers.miss(job, trigger, Reason.OVERLAP)
            case Overlap.REPLACE:
                self._triggers.make_pending(job, trigger)
                for run_id in progress.running if not self._state.stopping else ():
                    self._end_soon(self._state.runs[run_id], Ending.REPLACED)
            case _:
                assert_never(overlap)

    def _start(self, job: Job, progress: Progress, trigger: Trigger) -> None:
        number, now = progress.runs + 1, self._state.now
        run = Run(f"{job.id}.{number}", job.id, job.definition.name, number, trigger, now)
        running = (*progress.running, run.id)
        self._state.keep(replace(progress, running=running, runs=number, parents_done=()))
        self._slots.occupy(run.id, job)
        self._start_attempt(job, run)
        self._notices.started(job, run)

    def _start_attempt(self, job: Job, run: Run) -> None:
        state = self._state
        state.keep(replace(state.progress[job.id], last_attempted_run=state.now))
        state.keep(run)
        state.keep(Attempt(run.id, run.attempts, state.now))
        state.act(StartAttempt(run, run.attempts, job.definition))

    def serve_pause(self, run: Run, pause: Pause) -> None:
        """Start a run's next attempt, now that its pause is over; too late it ends: A2, A6."""
        job = self._state.jobs[run.job_id]
        if in_time(job, run.trigger.scheduled_at, self._state.now):
            self._start_attempt(job, replace(run, attempts=run.attempts + 1, pause=None))
        else:
            self.end(run, pause.since, pause.outcome)

    def cancel(self, run: Run) -> None:
        """End a run by hand: rule M6."""
        self._end_soon(run, Ending.BY_HAND)

    def _end_soon(self, run: Run, ending: Ending) -> None:
        """End a run at once if it is in a pause, or else with its attempt."""
        if run.pause:
            self.end(replace(run, ending=ending), self._state.now, Outcome.CANCELLED)
        elif run.ending is None:
            self._state.keep(replace(run, ending=ending))
            self._state.act(EndAttempt(run.id))

    def attempt_ended(self, event: AttemptEnded) -> None:
        """Let an attempt be over: the run goes on, pauses or ends (rules A1, A2, A3, A6)."""
        state = self._state
        run = state.runs[event.run_id]
        # The wall clock may have gone back since the attempt was decided on, or while it went on.
        started_at = max(event.started_at, state.attempts[run.id].started_at)
        ended_at = max(started_at, event.ended_at)
        state.keep(Attempt(run.id, event.number, started_at, ended_at, event.result))
        if event.number == 1:
            run = replace(run, started_at=started_at)
        outcome = outcome_of(event.result)
        if run.ending and outcome is not Outcome.SUCCEEDED:
            outcome = Outcome.CANCELLED
        job = state.jobs.get(run.job_id)
        if job is None:
            self.end(run, ended_at, outcome)
            return
        progress = replace(state.progress[job.id], last_attempted_run=started_at)
        if outcome.is_failure:
            progress = replace(progress, error_count=progress.error_count + 1, last_error=ended_at)
        state.keep(progress)
        is_last = state.stopping or run.ending
        at = None if is_last else next_attempt_at(job, run, event.result, ended_at, state.now)
        if at is None:
            self.end(run, ended_at, outcome)
        elif at > state.now:
            state.keep(replace(run, pause=Pause(ended_at, at, outcome)))
        else:
            self._start_attempt(job, replace(run, attempts=run.attempts + 1))

    def end(self, run: Run, ended_at: datetime, outcome: Outcome) -> None:
        """End a run, and trigger what was waiting for that."""
        state = self._state
        state.keep(replace(run, ended_at=ended_at, outcome=outcome, pause=None))
        self._slots.free(run.id)
        if job := state.jobs.get(run.job_id):
            progress = state.progress[job.id]
            running = tuple(each for each in progress.running if each != run.id)
            progress = replace(progress, running=running, finished=progress.finished + 1)
            if outcome is Outcome.SUCCEEDED:
                successes = progress.success_count + 1
                progress = replace(progress, success_count=successes, last_success=ended_at)
            state.keep(progress)
            self._notices.ended(job, run, outcome)
            if not state.stopping:
                self._triggers.take_pending(job)
            self._trigger_followers(job, run, outcome)
        self._triggers.turn_is_over(run.trigger)

    def _trigger_followers(self, job: Job, run: Run, outcome: Outcome) -> None:
        """Trigger what is to run after a run that ended so: rules D1, D3, D9, C3."""
        if outcome is Outcome.SUCCEEDED:
            self._triggers.add_children(job, run)
        elif outcome.is_failure:
            self._trigger_failure_job(job, run)
            if outcome is Outcome.LOST and job.definition.rerun_lost:
                self._rerun(job, run)

    def _trigger_failure_job(self, job: Job, run: Run) -> None:
        heir = job.definition.on_failure_job
        if heir and not self._state.progress[heir].disabled:
            self._triggers.add(heir, Trigger(Cause.FAILURE, self._state.now, source=run.id))

    def _rerun(self, job: Job, lost: Run) -> None:
        """Ask for what was lost once more, as of the time that it was scheduled for: rule C3."""
        trigger = Trigger(Cause.RERUN, lost.trigger.scheduled_at, source=lost.id)
        if self._state.progress[job.id].disabled:
            self._triggers.miss(job, trigger, Reason.DISABLED)
        else:
            self._triggers.add(job.id, trigger)
