"""What the scheduler knows: frozen values in dicts, each change recorded and undoable."""

from collections.abc import Hashable
from typing import Self, TypeVar, assert_never

from kala_trio.core.job import Attempt, Job, Missed, Progress, Queue, Run
from kala_trio.core.messages import ForgetJob, ForgetQueue, Keep, Record, Snapshot

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class State:
    """Jobs with their progress, what is in progress, and who follows whom.

    ``runs`` and ``attempts`` (by run id) hold those in progress, also of deleted jobs. Read the
    dicts freely; change them through the methods.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.jobs: dict[str, Job] = {}
        self.progress: dict[str, Progress] = {}
        self.runs: dict[str, Run] = {}
        self.attempts: dict[str, Attempt] = {}
        self.queues: dict[str, Queue] = {}
        # By job: those that follow it, with their numbers, after its success or after its failure.
        self._children: dict[str, dict[str, int]] = {}
        self._heirs: dict[str, dict[str, int]] = {}
        self._records: dict[tuple[type, Hashable], Record] = {}
        self._undo: list[tuple[dict[Hashable, object], Hashable, object]] = []

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Know what is durable already, so that there is nothing to record or to undo."""
        self = cls()
        self.jobs = {job.id: job for job in snapshot.jobs}
        self.progress = {progress.job_id: progress for progress in snapshot.progress}
        self.runs = {run.id: run for run in snapshot.runs}
        self.attempts = {attempt.run_id: attempt for attempt in snapshot.attempts}
        self.queues = {queue.run_id: queue for queue in snapshot.queues}
        for job in snapshot.jobs:
            for parent in job.definition.parent_jobs:
                self._children.setdefault(parent, {})[job.id] = job.number
            if origin := job.definition.on_failure_job:
                self._heirs.setdefault(origin, {})[job.id] = job.number
        return self

    def children_of(self, job_id: str) -> tuple[str, ...]:
        """Return a job's children in the order in which they were attached (rule D2)."""
        children = self._children.get(job_id, {})
        return tuple(sorted(children, key=children.__getitem__))

    def pointing_at(self, job_id: str) -> list[str]:
        """Return the jobs whose definition names this one, as a parent or as the failure job."""
        return [*self._children.get(job_id, ()), *self._heirs.get(job_id, ())]

    def keep(self, value: Job | Progress | Run | Attempt | Missed | Queue) -> None:
        """Take in ``value``, in place of an earlier one of the same identity, and record it."""
        key: Hashable
        match value:
            case Job(id=key):
                self._link(value, self.jobs.get(key), value)
                self._set(self.jobs, key, value)
            case Progress(job_id=key):
                self._set(self.progress, key, value)
            case Run(id=key):
                self._set(self.runs, key, value if value.outcome is None else None)
            case Attempt():
                key = (value.run_id, value.number)
                self._set(self.attempts, value.run_id, value if value.result is None else None)
            case Missed():
                key = (value.job_id, value.number)
            case Queue(run_id=key):
                self._set(self.queues, key, value)
            case _:
                assert_never(value)
        self._records[type(value), key] = Keep(value)

    def forget_job(self, job_id: str) -> None:
        """Drop a job and its progress; what it has in progress stays (rule M3)."""
        self._link(self.jobs[job_id], self.jobs[job_id], None)
        self._set(self.jobs, job_id, None)
        self._set(self.progress, job_id, None)
        self._records.pop((Progress, job_id), None)
        self._records[Job, job_id] = ForgetJob(job_id)

    def forget_queue(self, run_id: str) -> None:
        """Drop a queue whose children all had their turn."""
        self._set(self.queues, run_id, None)
        self._records[Queue, run_id] = ForgetQueue(run_id)

    def take_records(self) -> list[Record]:
        """Return what changed since the last call, one record for each value."""
        records = list(self._records.values())
        self._records.clear()
        return records

    def committed(self) -> None:
        """Forget how to undo what was changed so far: it is durable."""
        self._undo.clear()

    def mark(self) -> int:
        """Return what ``rollback`` needs to undo only what is changed from here on."""
        return len(self._undo)

    def rollback(self, mark: int = 0) -> set[str]:
        """Undo all changes since ``mark``, or else since the last ``committed``.

        Nothing that was changed before may still be to be recorded. Returns the ids of the jobs
        concerned.
        """
        concerned = set()
        while len(self._undo) > mark:
            table, key, old = self._undo.pop()
            if table is self.progress:
                concerned.add(str(key))
            if old is None:
                table.pop(key, None)
            else:
                table[key] = old
        self._records.clear()
        return concerned & self.jobs.keys()

    def _link(self, job: Job, old: Job | None, new: Job | None) -> None:
        """Let a job follow those that its new definition names, in place of its old one's."""
        for index, before, after in (
            (self._children, _parents(old), _parents(new)),
            (self._heirs, _failure_job(old), _failure_job(new)),
        ):
            for other in set(before).difference(after):
                self._set(index[other], job.id, None)
                if not index[other]:
                    self._set(index, other, None)
            for other in set(after).difference(before):
                if other not in index:
                    self._set(index, other, {})
                self._set(index[other], job.id, job.number)

    def _set(self, table: dict[K, V], key: K, value: V | None) -> None:
        old = table.get(key)
        self._undo.append((table, key, old))  # type: ignore[arg-type]  # one list for all tables
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def _parents(job: Job | None) -> tuple[str, ...]:
    return job.definition.parent_jobs if job else ()


def _failure_job(job: Job | None) -> tuple[str, ...]:
    return (job.definition.on_failure_job,) if job and job.definition.on_failure_job else ()
