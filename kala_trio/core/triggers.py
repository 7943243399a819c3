"""What asks for runs: due occurrences, what was passed over, what waits, and queues of children."""

import heapq
from datetime import datetime
from itertools import count

from msgspec.structs import replace

from kala_trio.core.definition import CatchUp, ParentRule
from kala_trio.core.job import Cause, Job, Occurrence, Queue, Reason, Run, Trigger
from kala_trio.core.occurrences import (
    Due,
    Span,
    due_of,
    span_of,
    trigger_of,
    with_missed,
)
from kala_trio.core.state import State
from kala_trio.core.wakes import is_busy


class Triggers:
    """The agenda of triggers to serve, and all ways in which one gets there or is missed."""

    def __init__(self, state: State) -> None:
        """Work on ``state``, with nothing on the agenda."""
        self._state = state
        self._agenda: list[tuple[datetime, int, int, Trigger, str]] = []
        self._turns = count()

    def add(self, job_id: str, trigger: Trigger) -> None:
        """Put a trigger on the agenda."""
        number = self._state.jobs[job_id].number
        entry = (trigger.scheduled_at, number, next(self._turns), trigger, job_id)
        heapq.heappush(self._agenda, entry)

    def take(self) -> tuple[str, Trigger] | None:
        """Take the next one off the agenda: in the order of S, then of creation (rule L9)."""
        if not self._agenda:
            return None
        *_, trigger, job_id = heapq.heappop(self._agenda)
        return job_id, trigger

    # Occurrences

    def add_due(self, job: Job) -> None:
        """Trigger what of a job has come due, or waits in an idle one: rules L8, L11."""
        progress = self._state.progress[job.id]
        if progress.pending and not is_busy(job, progress) and job.id not in self._state.held:
            self.take_pending(job)
        elif due := due_of(job, progress, self._state.now):
            # Where some are missed, what is left has its turn in the order of its own S.
            if job.definition.policy.catch_up is CatchUp.ALL:
                if self._limited(job, due, Reason.LATE) == due:
                    self._keep_next(job, due, due.first)
                    self.add(job.id, trigger_of(due.first))
            elif older := due.older():
                self._state.keep(replace(progress, next=due.latest))
                self.miss_pending(job, Reason.OVERLAP)
                busy = is_busy(job, progress) or job.id in self._state.held
                self.miss_span(job, older, Reason.OVERLAP if busy else Reason.LATE)
            else:
                self._keep_next(job, due, due.latest)
                self.add(job.id, trigger_of(due.latest))

    def catch_up(self, job: Job, reason: Reason) -> None:
        """Decide on what came due while nobody looked: rules L4, L11."""
        due = due_of(job, self._state.progress[job.id], self._state.now)
        if due is None:
            return
        definition = job.definition
        if definition.policy.catch_up is CatchUp.ALL:
            self._limited(job, due, reason)
            return
        self._keep_next(job, due, due.latest)
        if definition.resume_at_next_scheduled_time or definition.policy.catch_up is CatchUp.NONE:
            self.miss_span(job, due.all(), reason)
            return
        self.miss_pending(job, Reason.OVERLAP)
        if older := due.older():
            self.miss_span(job, older, reason)
        self.make_pending(job, trigger_of(due.latest))

    def _limited(self, job: Job, due: Due, reason: Reason) -> Due:
        """Miss the oldest of what is more than a backlog may have; return what is left."""
        rest = due.limited(job.definition.policy.catch_up_limit)
        if rest.first != due.first:
            self._state.keep(replace(self._state.progress[job.id], next=rest.first))
            self.miss_span(job, due.before(rest.first), reason)
        return rest

    def _keep_next(self, job: Job, due: Due, served: Occurrence) -> None:
        progress = self._state.progress[job.id]
        self._state.keep(replace(progress, next=due.after(served)))

    # What waits

    def make_pending(self, job: Job, trigger: Trigger) -> None:
        """Let a trigger wait, in place of an older one, which is missed: rule L2."""
        progress = self._state.progress[job.id]
        if progress.pending and progress.pending.scheduled_at > trigger.scheduled_at:
            self.miss(job, trigger, Reason.OVERLAP)
            return
        self.miss_pending(job, Reason.OVERLAP)
        self._state.keep(replace(self._state.progress[job.id], pending=trigger))

    def take_pending(self, job: Job) -> None:
        """Put what waits on the agenda."""
        progress = self._state.progress[job.id]
        if trigger := progress.pending:
            self._state.keep(replace(progress, pending=None))
            self.add(job.id, trigger)

    def miss_pending(self, job: Job, reason: Reason) -> None:
        """Record what waits, if anything does, as missed."""
        progress = self._state.progress[job.id]
        if pending := progress.pending:
            self._state.keep(replace(progress, pending=None))
            self.miss(job, pending, reason)

    def miss(self, job: Job, trigger: Trigger, reason: Reason) -> None:
        """Record a trigger as missed; a child's turn is then over."""
        self.miss_span(job, span_of(trigger), reason)
        self.turn_is_over(trigger)

    def miss_span(self, job: Job, missed: Span, reason: Reason) -> None:
        """Record adjacent triggers as missed: rule L5."""
        progress, record = with_missed(job, self._state.progress[job.id], missed, reason)
        self._state.keep(progress)
        self._state.keep(record)

    # Children

    def add_children(self, job: Job, run: Run) -> None:
        """Let the children of a successful run have their turns: rules D1, D2, D10."""
        if children := self._state.children_of(job.id):
            for child in children:
                self._note_done(child, job.id)
            self._state.keep(Queue(run.id, children, -1))
            self._next_in_queue(run.id)

    def turn_is_over(self, trigger: Trigger) -> None:
        """Go on with the queue of the parent's run, if that is what the trigger came from (D2)."""
        match trigger:
            case Trigger(cause=Cause.PARENT, source=str(run_id)):
                self._next_in_queue(run_id)

    def _next_in_queue(self, run_id: str) -> None:
        """Give the turn to the next child that is there, enabled and wanted: rules D2, D4, D10."""
        queue = self._state.queues[run_id]
        for position in range(queue.position + 1, len(queue.children)):
            child = queue.children[position]
            if self._may_have_its_turn(child):
                self._state.keep(replace(queue, position=position))
                self.add(child, Trigger(Cause.PARENT, self._state.now, source=run_id))
                return
        self._state.forget_queue(run_id)

    def _note_done(self, child: str, parent: str) -> None:
        progress = self._state.progress[child]
        waits_for_all = self._state.jobs[child].definition.policy.parent_rule is ParentRule.ALL
        if waits_for_all and parent not in progress.parents_done:
            self._state.keep(replace(progress, parents_done=(*progress.parents_done, parent)))

    def _may_have_its_turn(self, child: str) -> bool:
        job = self._state.jobs.get(child)
        if job is None or self._state.progress[child].disabled:
            return False
        parents, policy = job.definition.parent_jobs, job.definition.policy
        if policy.parent_rule is ParentRule.ALL:
            return bool(parents) and {*parents} <= {*self._state.progress[child].parents_done}
        return bool(parents)
