"""The state machine: an event goes in, commands come out.

A job is *busy* while it has as many runs in progress as it may have, and else *idle*. Unless it is
*disabled* it may have one *pending* trigger, which waits for a run to end, or in an idle job for
the next Tick. Each trigger goes through one agenda (``triggers``): it starts a run, becomes
pending, or is missed (``runs``). Between two attempts a run may be in a *pause*. The scheduler as a
whole may be *stopping*: then triggers become pending, and no attempt starts.

It reads no clock, does no I/O and mints no id: the instant comes in with the event, so the same
events at the same instants give the same commands (rule C5).
"""

from datetime import datetime
from typing import Self

from msgspec.structs import replace

from kala_trio.core.job import Cause, Progress, Reason
from kala_trio.core.messages import (
    EMPTY,
    AttemptEnded,
    AwaitOrphan,
    Command,
    EndAttempt,
    Event,
    Snapshot,
    Stop,
    Tick,
)
from kala_trio.core.notices import Notices
from kala_trio.core.requests import Requests
from kala_trio.core.runs import Runs
from kala_trio.core.slots import Limits, Slots
from kala_trio.core.state import State
from kala_trio.core.triggers import Triggers

# One Tick serves this many due jobs at most; the next one follows at once. So the first of many
# jobs due at one instant starts before the last was decided on.
_SERVED_AT_ONCE = 64
_UNLIMITED = Limits()


class Scheduler:
    """Decides what runs when (rules L, A, D, M, N, S9 and S10).

    ``handle`` changes the state and returns what is to be made durable and then done. Once that is
    durable the caller says ``committed``; if it can't be made so, ``rollback``.
    """

    def __init__(self, snapshot: Snapshot = EMPTY, limits: Limits = _UNLIMITED) -> None:
        """Know what is durable; ``restore`` also decides on what has come due since."""
        self._state = State(snapshot)
        self._slots = Slots(self._state, limits)
        self._triggers = Triggers(self._state)
        self._notices = Notices(self._state)
        self._runs = Runs(self._state, self._triggers, self._slots, self._notices)
        self._requests = Requests(
            self._state, self._triggers, self._runs, self._slots, self._notices
        )

    @classmethod
    def restore(
        cls, snapshot: Snapshot, at: datetime, limits: Limits = _UNLIMITED
    ) -> tuple[Self, list[Command]]:
        """Go on from ``snapshot`` at the instant ``at``: rules L4 (downtime), C3 and C6."""
        self = cls(snapshot, limits)
        state = self._state
        state.now = max(state.now, at)
        for job in snapshot.jobs:
            progress = state.progress[job.id]
            if progress.pending and not progress.running:
                self._count_from_now(progress)
            # Asked first, since of most of many jobs nothing is due.
            if not progress.disabled and progress.next and progress.next.at <= state.now:
                self._triggers.catch_up(job, Reason.DOWNTIME)
        for attempt in snapshot.attempts:
            run = state.runs[attempt.run_id]
            job_or_none = state.jobs.get(run.job_id)
            definition = job_or_none.definition if job_or_none else None
            state.act(AwaitOrphan(run, attempt, definition))
            if run.ending:
                state.act(EndAttempt(run.id))
        return self, state.take_commands()

    def _count_from_now(self, progress: Progress) -> None:
        """Let a failure job's trigger count from now: the stop came between the two (D9)."""
        pending = progress.pending
        if pending and pending.cause is Cause.FAILURE:
            pending = replace(pending, scheduled_at=self._state.now)
            self._state.keep(replace(progress, pending=pending))
            self._notices.expect_from_now(self._state.jobs[progress.job_id])

    def handle(self, event: Event, at: datetime) -> list[Command]:
        """Decide on ``event`` at ``at``; an earlier instant than before is lifted to that (C6).

        Raises:
            Refused, NotFound, Conflict, Outdated: of a request, and then nothing has changed.
        """
        self._state.now = max(self._state.now, at)
        match event:
            case Tick():
                self._serve_due()
            case AttemptEnded():
                self._runs.attempt_ended(event)
            case Stop():
                self._state.stopping = True
            case request:
                self._requests.carry_out(request)
        self._runs.serve_agenda()
        return self._state.take_commands()

    def next_wake(self) -> datetime | None:
        """Return the instant at which the next Tick has something to do; None if there is none."""
        return None if self._state.stopping else self._state.wakes.next()

    def is_due(self, at: datetime) -> bool:
        """Tell whether a Tick has something to do at ``at``, or at a later instant seen (C6)."""
        wake = self.next_wake()
        return wake is not None and wake <= max(self._state.now, at)

    def committed(self) -> None:
        """Learn that all commands so far are durable."""
        self._state.committed()

    def rollback(self) -> None:
        """Go back to the state of the last ``committed``: nothing since then became durable."""
        self._state.rollback()
        self._slots.count()

    def _serve_due(self) -> None:
        """Serve what is due, in the order of S, then of the jobs' creation: rules L8, L9."""
        state = self._state
        for _ in range(_SERVED_AT_ONCE):
            if not self.is_due(state.now):
                return
            due = state.wakes.take()
            run = state.runs.get(due)
            if run and run.pause:
                self._runs.serve_pause(run, run.pause)
            elif self._notices.is_late(job := state.jobs[due]):
                self._notices.tell_late(job)
                state.wakes.note(job.id)  # it may be due, too
            else:
                self._triggers.add_due(job)
            self._runs.serve_agenda()
