"""What clients ask for: jobs are created, edited, deleted, started; runs are cancelled."""

from typing import assert_never

from msgspec.structs import replace

from kala_trio.core import graph
from kala_trio.core.changes import check_all, check_version
from kala_trio.core.checks.secrecy import with_kept
from kala_trio.core.definition import Definition
from kala_trio.core.errors import Conflict, KalaTrioError, Refused
from kala_trio.core.job import Cause, Job, Progress, Reason, Trigger
from kala_trio.core.messages import (
    Apply,
    Cancel,
    Create,
    CreateAll,
    Delete,
    DeleteAll,
    Disable,
    Edit,
    Enable,
    Request,
    Start,
)
from kala_trio.core.notices import Notices
from kala_trio.core.occurrences import (
    due_of,
    first_occurrence,
    is_scheduled,
    is_timed_alike,
    span_of,
)
from kala_trio.core.runs import Runs
from kala_trio.core.slots import Slots
from kala_trio.core.state import State
from kala_trio.core.triggers import Triggers


class Requests:
    """Carries out requests (rules M, D5, D6, S9 and S10), or refuses them and changes nothing."""

    def __init__(
        self, state: State, triggers: Triggers, runs: Runs, slots: Slots, notices: Notices
    ) -> None:
        """Work on ``state``, whose jobs stand in the order of their numbers."""
        self._state = state
        self._triggers = triggers
        self._runs = runs
        self._slots = slots
        self._notices = notices
        latest = next(reversed(state.jobs.values()), None)
        self._jobs_created = latest.number if latest else 0

    def carry_out(self, request: Request) -> None:
        """Change what is asked for.

        Raises:
            Refused, NotFound, Conflict, Outdated: and then nothing has changed.
        """
        job = self._state.job
        match request:
            case Create(job_id):
                if job_id not in self._state.jobs:  # else it is done already: rule M7
                    self._create(request)
            case CreateAll(creates):
                self._create_all(creates)
            case Edit(job_id, definition, version):
                check_version(self._state, job_id, version)
                whole = with_kept(definition, job(job_id).definition)
                graph.check_edges(self._state, whole, job(job_id))
                self._edit(job(job_id), whole)
            case Apply():
                self._apply(request)
            case Delete(job_id, version):
                check_version(self._state, job_id, version)
                self._delete(self._gone_with(job(job_id)))
            case DeleteAll():
                self._delete(sorted(self._state.jobs, key=lambda each: job(each).number))
            case Start(job_id):
                self._start(job(job_id))
            case Enable(job_id):
                self._enable(job(job_id))
            case Disable(job_id):
                self._disable(job(job_id))
            case Cancel(run_id):
                self._cancel(run_id)
            case _:
                assert_never(request)

    def _create(self, event: Create) -> None:
        if event.job_id in self._state.jobs:
            raise Conflict(f"there is a job {event.job_id!r} already")
        self._slots.check_room_for_jobs(1)
        definition = with_kept(event.definition, None)
        graph.check_edges(self._state, definition)
        self._take_in(event.job_id, definition)

    def _take_in(self, job_id: str, definition: Definition) -> None:
        job = Job(job_id, self._jobs_created + 1, self._state.now, definition)
        first = first_occurrence(job)
        self._jobs_created = job.number
        self._state.keep(job)
        self._state.keep(Progress(job.id, definition.disabled, first))
        self._notices.expect(job, first)

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

    def _apply(self, event: Apply) -> None:
        """Make all changes or none (rules M10, M11): what may be refused is known before."""
        event = check_all(self._state, event)
        self._slots.check_room_for_jobs(len(event.creates) - len(event.deletes))
        for create in event.creates:
            self._take_in(create.job_id, create.definition)
        for edit in event.edits:
            self._edit(self._state.jobs[edit.job_id], edit.definition)
        self._delete([each.job_id for each in event.deletes])

    def _edit(self, job: Job, definition: Definition) -> None:
        """Put another definition in the place of a job's own: rules M4, M5."""
        edited = replace(job, definition=definition)
        is_rescheduled = not is_timed_alike(job, definition)
        if not is_rescheduled:
            self._state.keep(edited)
        else:
            edited = replace(edited, rescheduled_at=self._state.now)
            self._reschedule(job, edited)
        for run_id in self._state.progress[job.id].running:
            self._slots.occupy(run_id, edited)
        if definition.disabled:
            self._disable(edited)
        else:
            self._enable(edited)
        if is_rescheduled:
            self._notices.expect(edited, self._state.progress[job.id].next)
        elif _expects(edited) != _expects(job):
            self._notices.expect_from_now(edited)
        if edited.definition.reporting != job.definition.reporting:
            self._notices.receivers_changed(edited)
        self._changed(job.id)

    def _reschedule(self, job: Job, edited: Job) -> None:
        """Let a job's occurrences start anew; those of before that are left are missed."""
        # An edit runs nothing by itself, as a new job without schedule does (rule S10).
        first = first_occurrence(edited) if is_scheduled(edited.definition) else None
        progress = self._state.progress[job.id]
        due = due_of(job, progress, self._state.now)
        if progress.pending and progress.pending.cause is Cause.OCCURRENCE:
            self._triggers.miss_pending(job, Reason.EDITED)
        if due:
            reason = Reason.DISABLED if progress.disabled else Reason.EDITED
            self._triggers.miss_span(job, due.all(), reason)
        self._state.keep(edited)
        progress = self._state.progress[job.id]
        # A record of occurrences that were numbered otherwise can't be extended.
        others = tuple(
            each for each in progress.latest_missed if each.cause is not Cause.OCCURRENCE
        )
        self._state.keep(replace(progress, next=first, latest_missed=others))

    def _gone_with(self, job: Job) -> list[str]:
        jobs = self._state.jobs
        return graph.deleted_with(
            job.id, self._state.children_of, lambda each: len(jobs[each].definition.parent_jobs)
        )

    def _delete(self, gone: list[str]) -> None:
        left_behind: dict[str, None] = {}
        over: list[Trigger] = []
        for job_id in gone:
            job, progress = self._state.jobs[job_id], self._state.progress[job_id]
            left_behind |= dict.fromkeys(self._state.pointing_at(job_id))
            if progress.pending:
                self._triggers.miss_span(job, span_of(progress.pending), Reason.DELETED)
                over.append(progress.pending)
            if due := due_of(job, progress, self._state.now):
                reason = Reason.DISABLED if progress.disabled else Reason.DELETED
                self._triggers.miss_span(job, due.all(), reason)
        running = [each for job_id in gone for each in self._state.progress[job_id].running]
        for job_id in gone:
            self._state.forget_job(job_id)
        for job_id in left_behind:
            if job_id in self._state.jobs:
                self._cut_loose(self._state.jobs[job_id])
        for trigger in over:
            self._triggers.turn_is_over(trigger)
        for run_id in running:
            self._slots.occupy(run_id, None)
            run = self._state.runs[run_id]
            if run.pause:
                self._runs.end(run, run.pause.since, run.pause.outcome)

    def _cut_loose(self, job: Job) -> None:
        """Take jobs that are gone off a definition (rules D5, D9)."""
        definition, jobs = job.definition, self._state.jobs
        parents = tuple(each for each in definition.parent_jobs if each in jobs)
        failure_job = definition.on_failure_job if definition.on_failure_job in jobs else ""
        definition = replace(definition, parent_jobs=parents, on_failure_job=failure_job)
        self._state.keep(replace(job, definition=definition))
        self._changed(job.id)

    def _start(self, job: Job) -> None:
        if self._state.progress[job.id].disabled:
            raise Conflict(f"job {job.id!r} is disabled; enable it first")
        self._triggers.add(job.id, Trigger(Cause.MANUAL, self._state.now))

    def _enable(self, job: Job) -> None:
        progress = self._state.progress[job.id]
        if progress.disabled:
            self._state.keep(replace(progress, disabled=False, version=progress.version + 1))
            self._notices.expect_from_now(job)
            self._triggers.catch_up(job, Reason.DISABLED)

    def _disable(self, job: Job) -> None:
        progress = self._state.progress[job.id]
        if not progress.disabled:
            self._state.keep(replace(progress, disabled=True, version=progress.version + 1))
            self._triggers.miss_pending(job, Reason.DISABLED)
            self._notices.expect(job, None)

    def _cancel(self, run_id: str) -> None:
        run = self._state.runs.get(run_id)
        if run is None:
            raise Conflict(
                f"run {run_id[:120]!r} is not in progress, so there is nothing to cancel"
            )
        self._runs.cancel(run)

    def _changed(self, job_id: str) -> None:
        """Tell readers that what they have read of a job is outdated (rule M5)."""
        progress = self._state.progress[job_id]
        self._state.keep(replace(progress, version=progress.version + 1))


def _expects(job: Job) -> bool:
    return bool(job.definition.reporting.expect_within)
