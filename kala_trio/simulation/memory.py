"""A store in memory: what a journal would hold after the same records, and give back."""

from collections.abc import Sequence
from typing import assert_never

from kala_trio.core.job import Attempt, Job, Missed, Notice, Progress, Queue, Run, Value
from kala_trio.core.messages import Deed, ForgetJob, ForgetQueue, Keep, Record, Snapshot


class MemoryStore:
    """Keeps the values of records in dicts, by their identities."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.jobs: dict[str, Job] = {}
        self.progress: dict[str, Progress] = {}
        self.runs: dict[str, Run] = {}
        self.attempts: dict[tuple[str, int], Attempt] = {}
        self.missed: dict[tuple[str, int], Missed] = {}
        self.queues: dict[str, Queue] = {}
        self.deeds: list[Deed] = []
        self.notices: dict[tuple[str, int], Notice] = {}

    def keep(self, records: Sequence[Record]) -> None:
        """Take in the records of one transaction."""
        for record in records:
            match record:
                case Keep(value):
                    self._keep(value)
                case ForgetJob(job_id):
                    self.jobs.pop(job_id, None)
                    self.progress.pop(job_id, None)
                case ForgetQueue(run_id):
                    self.queues.pop(run_id, None)
                case Deed():
                    self.deeds.append(record)
                case _:
                    assert_never(record)

    def _keep(self, value: Value) -> None:
        match value:
            case Job():
                self.jobs[value.id] = value
            case Progress():
                self.progress[value.job_id] = value
            case Run():
                self.runs[value.id] = value
            case Attempt():
                self.attempts[value.run_id, value.number] = value
            case Missed():
                self.missed[value.job_id, value.number] = value
            case Queue():
                self.queues[value.run_id] = value
            case Notice():
                self.notices[value.job_id, value.number] = value
            case _:
                assert_never(value)

    def forget(self, value: Run | Missed | Notice) -> None:
        """Drop something that is over, a run with its attempts, as if it were out of history."""
        match value:
            case Run():
                self.runs.pop(value.id, None)
                for number in range(1, value.attempts + 1):
                    self.attempts.pop((value.id, number), None)
            case Missed():
                self.missed.pop((value.job_id, value.number), None)
            case Notice():
                self.notices.pop((value.job_id, value.number), None)
            case _:
                assert_never(value)

    def load(self) -> Snapshot:
        """Return all that a scheduler needs to go on, in the order of the journal."""
        jobs = sorted(
            (job for job in self.jobs.values() if job.id in self.progress),
            key=lambda job: job.number,
        )
        progress = [self.progress[job.id] for job in jobs]
        runs = [run for run in self.runs.values() if run.outcome is None]
        attempts = [each for each in self.attempts.values() if each.result is None]
        return Snapshot(
            jobs=tuple(jobs),
            progress=tuple(progress),
            runs=tuple(sorted(runs, key=lambda run: (run.started_at, run.id))),
            attempts=tuple(sorted(attempts, key=lambda each: (each.run_id, each.number))),
            queues=tuple(self.queues.values()),
        )
