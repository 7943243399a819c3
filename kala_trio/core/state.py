"""What the scheduler knows: frozen values in dicts, each change recorded and undoable."""

from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from typing import TypeVar, assert_never

from msgspec import Struct

from kala_trio.core.errors import no_job
from kala_trio.core.job import Attempt, Job, Missed, Notice, Progress, Queue, Run, Value
from kala_trio.core.messages import (
    EMPTY,
    Act,
    Command,
    ForgetJob,
    ForgetQueue,
    Keep,
    Record,
    Snapshot,
)
from kala_trio.core.wakes import Wakes, due_at

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Hold(Struct, frozen=True, gc=False):
    """That a job's pending trigger waits for ``limit`` to have room (rule L12).

    Its place in that line is by ``scheduled_at``, then by the job's number.
    """

    scheduled_at: datetime
    number: int
    limit: str


_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class State:
    """Jobs with their progress, what is in progress, who follows whom, and what time it is.

    ``runs`` and ``attempts`` (by run id) hold those in progress, also of deleted jobs. Read the
    dicts freely; change them through the methods. ``now`` never goes back (rule C6). ``wakes``
    knows when to look next, ``held`` names the jobs that wait for others (rule L12), and while
    ``stopping`` no attempt starts (rule C4).
    """

    def __init__(self, snapshot: Snapshot = EMPTY) -> None:
        """Know what is durable already, so that there is nothing to record or to undo."""
        self.jobs = {job.id: job for job in snapshot.jobs}
        self.progress = {progress.job_id: progress for progress in snapshot.progress}
        self.runs = {run.id: run for run in snapshot.runs}
        self.attempts = {attempt.run_id: attempt for attempt in snapshot.attempts}
        self.queues = {queue.run_id: queue for queue in snapshot.queues}
        self.now = max(snapshot.instants(), default=_BEFORE_ALL)
        self.stopping = False
        self.held: dict[str, Hold] = {}
        self.wakes = Wakes(self.jobs, self.progress, self.runs, self.held)
        self._acts: list[Act] = []
        self._records: dict[tuple[type, Hashable], Record] = {}
        self._undo: list[tuple[dict[Hashable, object], Hashable, object]] = []
        # By job: those that follow it, with their numbers, after its success or after its failure.
        self._children: dict[str, dict[str, int]] = {}
        self._heirs: dict[str, dict[str, int]] = {}
        for job in snapshot.jobs:
            for followers, other in self._followed(job):
                followers.setdefault(other, {})[job.id] = job.number

    def job(self, job_id: str) -> Job:
        """Return the job of that id; raises NotFound."""
        try:
            return self.jobs[job_id]
        except KeyError:
            raise no_job(job_id) from None

    def children_of(self, job_id: str) -> tuple[str, ...]:
        """Return a job's children in the order in which they were attached (rule D2)."""
        children = self._children.get(job_id, {})
        return tuple(sorted(children, key=children.__getitem__))

    def pointing_at(self, job_id: str) -> list[str]:
        """Return the jobs whose definition names this one, as a parent or as the failure job."""
        return [*self._children.get(job_id, ()), *self._heirs.get(job_id, ())]

    def failing_into(self, job_id: str) -> list[str]:
        """Return the jobs whose failure triggers this one."""
        return list(self._heirs.get(job_id, ()))

    def keep(self, value: Value) -> None:
        """Take in ``value``, in place of an earlier one of the same identity, and record it."""
        key: Hashable
        match value:
            case Job(id=key):
                if old := self.jobs.get(key):
                    self._unlink(old)
                self._link(value)
                self._set(self.jobs, key, value)
                self.wakes.note(value.id)
            case Progress(job_id=key):
                self._keep_progress(value)
            case Run(id=key):
                self._set(self.runs, key, value if value.outcome is None else None)
                if value.pause:
                    self.wakes.note(value.id)
            case Attempt():
                key = (value.run_id, value.number)
                self._set(self.attempts, value.run_id, value if value.result is None else None)
            case Missed() | Notice():
                key = (value.job_id, value.number)
            case Queue(run_id=key):
                self._set(self.queues, key, value)
            case _:
                assert_never(value)
        self._records[type(value), key] = Keep(value)

    def forget_job(self, job_id: str) -> None:
        """Drop a job and its progress; what it has in progress stays (rule M3)."""
        self._unlink(self.jobs[job_id])
        self._set(self.jobs, job_id, None)
        self._set(self.progress, job_id, None)
        self._set(self.held, job_id, None)
        self._records.pop((Progress, job_id), None)
        self._records[Job, job_id] = ForgetJob(job_id)

    def forget_queue(self, run_id: str) -> None:
        """Drop a queue whose children all had their turn."""
        self._set(self.queues, run_id, None)
        self._records[Queue, run_id] = ForgetQueue(run_id)

    def hold(self, job_id: str, hold: Hold | None) -> None:
        """Let a job wait for a limit, or no longer."""
        self._set(self.held, job_id, hold)
        self.wakes.note(job_id)

    def act(self, act: Act) -> None:
        """Have something done, once all records are durable."""
        self._acts.append(act)

    def take_commands(self) -> list[Command]:
        """Return what changed since the last call, one record for each value, and then the acts."""
        commands = [*self._records.values(), *self._acts]
        self._records.clear()
        self._acts.clear()
        return commands

    def committed(self) -> None:
        """Forget how to undo what was changed so far: it is durable."""
        self._undo.clear()

    def mark(self) -> int:
        """Return what ``rollback`` needs to undo only what is changed from here on."""
        return len(self._undo)

    def rollback(self, mark: int = 0) -> None:
        """Undo all changes since ``mark``, or else since the last ``committed``.

        Nothing that was changed before may still be to be recorded.
        """
        concerned: list[str] = []
        while len(self._undo) > mark:
            table, key, old = self._undo.pop()
            if table is self.progress or table is self.runs or table is self.held:
                concerned.append(str(key))
            if old is None:
                table.pop(key, None)
            else:
                table[key] = old
        self._records.clear()
        for each in concerned:
            self.wakes.note(each)

    def _keep_progress(self, progress: Progress) -> None:
        before = self.progress.get(progress.job_id)
        self._set(self.progress, progress.job_id, progress)
        job = self.jobs[progress.job_id]
        is_held = job.id in self.held
        due = due_at(job, progress, is_held=is_held)
        if before is None or due_at(job, before, is_held=is_held) != due:
            self.wakes.note(progress.job_id)

    def _link(self, job: Job) -> None:
        for followers, other in self._followed(job):
            if other not in followers:
                self._set(followers, other, {})
            self._set(followers[other], job.id, job.number)

    def _unlink(self, job: Job) -> None:
        for followers, other in self._followed(job):
            self._set(followers[other], job.id, None)
            if not followers[other]:
                self._set(followers, other, None)

    def _followed(self, job: Job) -> Iterator[tuple[dict[str, dict[str, int]], str]]:
        """Yield each job that this one follows, and where its followers are."""
        for parent in job.definition.parent_jobs:
            yield self._children, parent
        if origin := job.definition.on_failure_job:
            yield self._heirs, origin

    def _set(self, table: dict[K, V], key: K, value: V | None) -> None:
        old = table.get(key)
        self._undo.append((table, key, old))  # type: ignore[arg-type]  # one list for all tables
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
