"""The two closed unions of the core: events go in, commands come out."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from kala_trio.core.definition import Definition
from kala_trio.core.job import Attempt, Job, Progress, Queue, Result, Run, Value


class Create(Struct, frozen=True, tag=True):
    """Accept ``definition`` as a new job named ``job_id``; does nothing if it is there (M7)."""

    job_id: str
    definition: Definition


class CreateAll(Struct, frozen=True, tag=True):
    """Accept all of these, or none: each may name jobs that stand before it."""

    creates: tuple[Create, ...]


class Delete(Struct, frozen=True, tag=True):
    """Delete one job (rules M3, D5); ``version`` as of an ``Edit``."""

    job_id: str
    version: int | None = None


class DeleteAll(Struct, frozen=True, tag=True):
    """Delete every job (rule M3)."""


class Edit(Struct, frozen=True, tag=True):
    """Put ``definition`` in the place of a job's own (rule M4).

    ``version`` is that of the progress which it was made from, None for any (rule M5).
    """

    job_id: str
    definition: Definition
    version: int | None = None


class Apply(Struct, frozen=True, tag=True):
    """Make all of these changes, each of another job, or none (rules M10, M11).

    They may name jobs that are created here, in whatever order; only those that are named here are
    deleted.
    """

    creates: tuple[Create, ...] = ()
    edits: tuple[Edit, ...] = ()
    deletes: tuple[Delete, ...] = ()

    @property
    def changes(self) -> tuple[Create | Edit | Delete, ...]:
        """All of them, in the order in which they are made."""
        return *self.creates, *self.edits, *self.deletes


class Start(Struct, frozen=True, tag=True):
    """Start a job by hand (rules M1, M2)."""

    job_id: str


class Enable(Struct, frozen=True, tag=True):
    """Enable a job; does nothing to one that is enabled (rule M2)."""

    job_id: str


class Disable(Struct, frozen=True, tag=True):
    """Disable a job; does nothing to one that is disabled (rule M2)."""

    job_id: str


class Cancel(Struct, frozen=True, tag=True):
    """End a run that is in progress (rule M6)."""

    run_id: str


class Tick(Struct, frozen=True, tag=True):
    """Nothing but time has passed."""


class AttemptEnded(Struct, frozen=True, tag=True):
    """An attempt is over; its instants are those that the runner saw."""

    run_id: str
    number: int
    started_at: datetime
    ended_at: datetime
    result: Result


class Stop(Struct, frozen=True, tag=True):
    """The daemon is stopping: start no attempt any more (rule C4)."""


Request = Create | CreateAll | Edit | Delete | DeleteAll | Apply | Start | Enable | Disable | Cancel
Event = Request | Tick | AttemptEnded | Stop


class Keep(Struct, frozen=True):
    """Make this value durable, in place of an earlier one of the same identity."""

    value: Value


class ForgetJob(Struct, frozen=True):
    """Drop a job and its progress; its runs and missed records stay (rule M3)."""

    job_id: str


class ForgetQueue(Struct, frozen=True):
    """Drop the queue of a run: all of its children had their turn."""

    run_id: str


class Deed(Struct, frozen=True):
    """Somebody with a token of the name ``who`` did ``what`` to a job or a run (rule M8)."""

    at: datetime
    who: str
    what: str
    subject: str


class StartAttempt(Struct, frozen=True):
    """Start attempt ``number`` of ``run`` as a process, once all records are durable (rule C2)."""

    run: Run
    number: int
    definition: Definition


class AwaitOrphan(Struct, frozen=True):
    """Wait until no process of ``run`` is left, then report ``attempt`` as lost (rule C3).

    ``definition`` is None where the job was deleted.
    """

    run: Run
    attempt: Attempt
    definition: Definition | None


class EndAttempt(Struct, frozen=True):
    """End the attempt of ``run_id`` that is in progress, another daemon's too (rules M6, L10)."""

    run_id: str


class Deliver(Struct, frozen=True):
    """Tell those who are to be told: there are notices that were not (rule N5)."""


Record = Keep | ForgetJob | ForgetQueue | Deed
Act = StartAttempt | AwaitOrphan | EndAttempt | Deliver
Command = Record | Act


class Snapshot(Struct, frozen=True):
    """All that a scheduler needs to go on where another stopped.

    ``jobs`` and ``progress`` stand in the order of the jobs' numbers; ``runs`` and ``attempts`` are
    those in progress.
    """

    jobs: tuple[Job, ...] = ()
    progress: tuple[Progress, ...] = ()
    runs: tuple[Run, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    queues: tuple[Queue, ...] = ()

    def instants(self) -> Iterator[datetime]:
        """Yield the instants that were past when they were recorded: the floor of rule C6."""
        for job in self.jobs:
            yield job.scheduled_from
        for each in self.progress:
            if each.last_attempted_run:
                yield from filter(
                    None, (each.last_attempted_run, each.last_success, each.last_error)
                )
            for missed in each.latest_missed:
                yield missed.last
            if each.pending:
                yield each.pending.scheduled_at
        for run in self.runs:
            yield run.started_at
            if run.pause:
                yield run.pause.since
        for attempt in self.attempts:
            yield attempt.started_at


EMPTY = Snapshot()
"""What there is before the first job."""
